//! Log-linear numbering of latencies: 128 numbers per octave, so that a value is known within 1 %.
//!
//! The numbers are those of an HDR histogram of two significant digits. Values below 256 us have a
//! number each.

/// Numbers per octave.
pub(super) const PER_OCTAVE: usize = 128;

/// Octaves, with the values below 128 as the first.
pub(super) const OCTAVES: usize = 26;

/// The largest latency that is recorded: one hour, in microseconds.
pub(super) const LARGEST_US: u64 = 3_600_000_000;

/// Returns the number of a latency in microseconds.
pub(super) fn number_of(us: u64) -> usize {
    let us = us.min(LARGEST_US);
    let shift = (us | 1).ilog2().saturating_sub(7);
    shift as usize * PER_OCTAVE + (us >> shift) as usize
}

/// Returns the lowest latency with this number, in microseconds.
pub(super) fn lowest_us(number: usize) -> u64 {
    let shift = shift(number);
    ((number - shift * PER_OCTAVE) as u64) << shift
}

/// Returns the highest latency with this number, in microseconds.
pub(super) fn highest_us(number: usize) -> u64 {
    lowest_us(number) + (1 << shift(number)) - 1
}

fn shift(number: usize) -> usize {
    (number / PER_OCTAVE).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::*;

    #[test]
    fn numbers_are_those_of_an_hdr_histogram() {
        let hdr = Histogram::<u32>::new_with_max(LARGEST_US, 2).unwrap();
        let mut us = 0;
        while us < LARGEST_US {
            let number = number_of(us);
            assert_eq!(lowest_us(number), hdr.lowest_equivalent(us), "{us}");
            assert_eq!(highest_us(number), hdr.highest_equivalent(us), "{us}");
            us += 1 + us / 301;
        }
    }

    #[test]
    fn every_latency_is_in_an_octave() {
        assert_eq!(number_of(0), 0);
        assert_eq!(number_of(u64::MAX), number_of(LARGEST_US));
        assert!(number_of(u64::MAX) / PER_OCTAVE < OCTAVES);
    }
}
