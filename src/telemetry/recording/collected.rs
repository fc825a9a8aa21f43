//! The requests that a reader found in the counters since its last collection.

use std::time::Duration;

use super::buckets::Bucket;
use super::totals::TimeSums;

/// Differences of the counters of all instances. An entry may occur more than once.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) queue: Vec<NumberedCount>,
    pub(super) compute: Vec<NumberedCount>,
    pub(super) total: Vec<NumberedCount>,
    pub(super) buckets: Vec<NumberedBucket>,
    pub(super) sums: TimeSums,
    /// The end of the newest completed request, since the recorder's start; zero before the first.
    pub(super) last_end: Duration,
}

/// Requests whose latency has one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NumberedCount {
    /// The number, as in `log_linear`.
    pub(super) number: usize,
    pub(super) count: u32,
}

/// Requests in one bucket of the histogram pane.
#[derive(Clone, Copy, Debug)]
pub(super) struct NumberedBucket {
    pub(super) at: usize,
    pub(super) bucket: Bucket,
}

impl Collected {
    /// Removes all entries and keeps their memory.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.compute.clear();
        self.total.clear();
        self.buckets.clear();
        self.sums = TimeSums::default();
    }
}
