//! The totals of a model since its start, for statistics and metrics: exact sums of times, and exact
//! counts per range of times.

use std::time::Duration;

use super::collected::{Collected, NumberedCount};
use super::log_linear::lowest_us;

/// The upper bounds of the counted ranges in microseconds, ascending. Each is the lowest latency of a
/// number of the recorded counts, so that no request is counted on the wrong side of a bound. None is 10 us:
/// `OpenMetrics` wants that bound to be written as 1e-05, in another form than the others.
pub const BUCKET_BOUNDS_US: [u64; 34] = [
    12, 25, 50, 100, 175, 250, 350, 500, 700, 1_000, 1_400, 2_000, 2_800, 4_000, 5_600, 8_000,
    11_200, 16_000, 22_400, 32_000, 44_800, 64_000, 89_600, 128_000, 179_200, 256_000, 358_400,
    512_000, 1_024_000, 2_048_000, 4_096_000, 8_192_000, 16_384_000, 32_768_000,
];

/// The number of counted ranges; the last one has no upper bound.
const BUCKETS: usize = BUCKET_BOUNDS_US.len() + 1;

/// The completed requests of a model since its start, and the time of those that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestTotals {
    /// Time from the intended arrival to the start in an instance.
    pub queue: TimeTotals,
    /// Time in an instance.
    pub compute: TimeTotals,
    /// Queue time and compute time together.
    pub total: TimeTotals,
    /// Queue time and compute time of the requests that an instance took and that did not complete.
    pub failed: Duration,
}

/// The totals of one time of the completed requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeTotals {
    /// Completed requests.
    pub count: u64,
    /// The sum of their times.
    pub sum: Duration,
    /// Requests per range of times: entry `i` counts those that took at least the bound `i - 1` of
    /// [`BUCKET_BOUNDS_US`] and less than the bound `i`. Times are whole microseconds, rounded down.
    pub buckets: [u64; BUCKETS],
}

/// Sums of times in nanoseconds; they may wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TimeSums {
    pub(super) queue: u64,
    pub(super) compute: u64,
    pub(super) failed: u64,
}

impl TimeSums {
    /// Returns the time that was added after `earlier` was read.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            queue: self.queue.wrapping_sub(earlier.queue),
            compute: self.compute.wrapping_sub(earlier.compute),
            failed: self.failed.wrapping_sub(earlier.failed),
        }
    }

    pub(super) fn add(&mut self, more: &Self) {
        self.queue += more.queue;
        self.compute += more.compute;
        self.failed += more.failed;
    }
}

impl RequestTotals {
    /// Adds the requests of a collection.
    pub(super) fn add(&mut self, collected: &Collected) {
        let TimeSums { queue, compute, failed } = collected.sums;
        self.queue.add(&collected.queue, queue);
        self.compute.add(&collected.compute, compute);
        self.total.add(&collected.total, queue.saturating_add(compute));
        self.failed += Duration::from_nanos(failed);
    }
}

impl Default for TimeTotals {
    fn default() -> Self {
        Self { count: 0, sum: Duration::ZERO, buckets: [0; BUCKETS] }
    }
}

impl TimeTotals {
    fn add(&mut self, counts: &[NumberedCount], sum_ns: u64) {
        self.sum += Duration::from_nanos(sum_ns);
        for one in counts {
            let lowest = lowest_us(one.number);
            let at = BUCKET_BOUNDS_US.partition_point(|bound| *bound <= lowest);
            if let Some(bucket) = self.buckets.get_mut(at) {
                *bucket += u64::from(one.count);
            }
            self.count += u64::from(one.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::Recorder;
    use super::super::log_linear::number_of;
    use super::*;

    #[test]
    fn bounds_are_edges_of_the_recorded_counts() {
        for pair in BUCKET_BOUNDS_US.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
        for bound in BUCKET_BOUNDS_US {
            assert_eq!(lowest_us(number_of(bound)), bound);
        }
    }

    #[test]
    fn sums_are_exact_over_ended_instances() {
        let start = Instant::now();
        let recorder = Recorder::new(start);
        assert_eq!((recorder.totals(), recorder.last_end()), (RequestTotals::default(), None));
        let (queue, compute) = (Duration::from_nanos(1_234), Duration::from_nanos(999_999));
        let mut kept = recorder.instance();
        for request in 0..100u32 {
            let mut ended = recorder.instance();
            ended.record(start + compute * request, queue, compute);
            kept.record_failure(queue, compute);
            if request % 7 == 0 {
                recorder.close_cell(start, Duration::ZERO);
            }
        }
        let totals = recorder.totals();
        assert_eq!((totals.queue.sum, totals.compute.sum), (queue * 100, compute * 100));
        assert_eq!(totals.total.sum, totals.queue.sum + totals.compute.sum);
        assert_eq!(totals.failed, totals.total.sum);
        assert_eq!(recorder.last_end(), Some(start + compute * 99));
    }

    #[test]
    fn requests_are_counted_below_their_bound() {
        let start = Instant::now();
        let recorder = Recorder::new(start);
        let mut instance = recorder.instance();
        for bound in BUCKET_BOUNDS_US {
            let (below, at) = (Duration::from_micros(bound - 1), Duration::from_micros(bound));
            instance.record(start, Duration::ZERO, below);
            instance.record(start, Duration::ZERO, at);
        }
        let compute = recorder.totals().compute;
        assert_eq!(compute.count, 68);
        let (last, between) = compute.buckets.split_last().unwrap();
        assert_eq!((between[0], *last), (1, 1));
        assert!(between[1..].iter().all(|count| *count == 2), "{:?}", compute.buckets);
        assert_eq!(recorder.totals().queue.buckets[0], 68);
    }
}
