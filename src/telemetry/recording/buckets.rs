//! Logarithmic latency buckets for the histogram pane: eight per octave, with the sums of queue and
//! compute time in each.

use crate::telemetry::window::Histogram;

/// Buckets per octave.
pub(super) const PER_OCTAVE: usize = 8;

/// Octaves.
pub(super) const OCTAVES: usize = 32;

/// `2^(k/8)` for `k` from 1 to 7, as multiples of `2^-31`, rounded up.
const BOUNDS: [u32; PER_OCTAVE - 1] = [
    2_341_847_524,
    2_553_802_834,
    2_784_941_738,
    3_037_000_500,
    3_311_872_530,
    3_611_622_603,
    3_938_502_376,
];

/// The buckets from the lowest to the highest in use.
#[derive(Clone, Default)]
pub(super) struct Buckets {
    entries: Vec<Bucket>,
}

/// Number and time of the requests in one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) count: u64,
    pub(super) queue_us: u64,
    pub(super) compute_us: u64,
}

/// Returns the bucket of a latency: `floor(8 * log2(us))`, and 0 below one microsecond.
pub(super) fn bucket_of(total_us: u64) -> usize {
    let us = u32::try_from(total_us).unwrap_or(u32::MAX).max(1);
    let octave = us.ilog2();
    let mantissa = us << (31 - octave);
    let step = BOUNDS.iter().map(|bound| usize::from(mantissa >= *bound)).sum::<usize>();
    octave as usize * PER_OCTAVE + step
}

impl Buckets {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds requests to one bucket.
    pub(super) fn add_to(&mut self, at: usize, more: &Bucket) {
        if self.entries.len() <= at {
            self.entries.resize(at + 1, Bucket::default());
        }
        if let Some(entry) = self.entries.get_mut(at) {
            entry.add(more);
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        if self.entries.len() < other.entries.len() {
            self.entries.resize(other.entries.len(), Bucket::default());
        }
        for (entry, more) in self.entries.iter_mut().zip(&other.entries) {
            entry.add(more);
        }
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        for (entry, less) in self.entries.iter_mut().zip(&other.entries) {
            entry.count -= less.count;
            entry.queue_us -= less.queue_us;
            entry.compute_us -= less.compute_us;
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Returns the range of buckets in use.
    pub(super) fn histogram(&self) -> Histogram {
        let used = |entry: &Bucket| entry.count != 0;
        let first = self.entries.iter().position(used).unwrap_or(0);
        let last = self.entries.iter().rposition(used).map_or(0, |at| at + 1);
        let entries = self.entries.get(first..last).unwrap_or_default();
        Histogram {
            first,
            total: entries.iter().map(|entry| entry.count).collect(),
            queue_us: entries.iter().map(|entry| entry.queue_us).collect(),
            compute_us: entries.iter().map(|entry| entry.compute_us).collect(),
        }
    }
}

impl Bucket {
    fn add(&mut self, more: &Self) {
        self.count += more.count;
        self.queue_us += more.queue_us;
        self.compute_us += more.compute_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octaves_have_eight_buckets() {
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(1), 0);
        assert_eq!(bucket_of(2), 8);
        assert_eq!(bucket_of(1024), 80);
        assert_eq!(bucket_of(2047), 87);
        assert_eq!(bucket_of(u64::MAX), PER_OCTAVE * OCTAVES - 1);
    }

    #[test]
    fn buckets_follow_the_logarithm() {
        let mut us = 1u64;
        while us < 1 << 31 {
            let expected = ((us as f64).log2() * PER_OCTAVE as f64) as usize;
            assert_eq!(bucket_of(us), expected, "{us}");
            us += 1 + us / 997;
        }
    }

    #[test]
    fn histogram_lists_only_used_buckets() {
        let mut buckets = Buckets::new();
        buckets.add_to(80, &Bucket { count: 1, queue_us: 500, compute_us: 524 });
        buckets.add_to(88, &Bucket { count: 1, queue_us: 0, compute_us: 2048 });
        let histogram = buckets.histogram();
        assert_eq!(histogram.first, 80);
        assert_eq!(histogram.total, [1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(histogram.queue_us.first(), Some(&500));
        let copy = buckets.clone();
        buckets.add(&copy);
        buckets.subtract(&copy);
        assert_eq!(buckets.histogram(), histogram);
    }
}
