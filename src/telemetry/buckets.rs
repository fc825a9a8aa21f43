//! Logarithmic latency buckets for the histogram pane: eight per octave, with the sums of queue and
//! compute time in each.

use super::snapshot::Histogram;

const PER_OCTAVE: usize = 8;
const OCTAVES: usize = 32;
const COUNT: usize = PER_OCTAVE * OCTAVES;

/// The buckets from the lowest to the highest in use.
#[derive(Clone, Default)]
pub(super) struct Buckets {
    entries: Vec<Bucket>,
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    count: u64,
    queue_us: u64,
    compute_us: u64,
}

/// Returns the bucket of a latency: `floor(8 * log2(us))`, and 0 below one microsecond.
fn bucket(total_us: u64) -> usize {
    let octaves = (total_us.max(1) as f64).log2();
    ((octaves * PER_OCTAVE as f64) as usize).min(COUNT - 1)
}

impl Buckets {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn record(&mut self, queue_us: u64, compute_us: u64) {
        let at = bucket(queue_us + compute_us);
        if self.entries.len() <= at {
            self.entries.resize(at + 1, Bucket::default());
        }
        if let Some(entry) = self.entries.get_mut(at) {
            entry.count += 1;
            entry.queue_us += queue_us;
            entry.compute_us += compute_us;
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        if self.entries.len() < other.entries.len() {
            self.entries.resize(other.entries.len(), Bucket::default());
        }
        for (entry, more) in self.entries.iter_mut().zip(&other.entries) {
            entry.count += more.count;
            entry.queue_us += more.queue_us;
            entry.compute_us += more.compute_us;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octaves_have_eight_buckets() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(1), 0);
        assert_eq!(bucket(2), 8);
        assert_eq!(bucket(1024), 80);
        assert_eq!(bucket(2047), 87);
        assert_eq!(bucket(u64::MAX), COUNT - 1);
    }

    #[test]
    fn histogram_lists_only_used_buckets() {
        let mut buckets = Buckets::new();
        buckets.record(500, 524);
        buckets.record(0, 2048);
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
