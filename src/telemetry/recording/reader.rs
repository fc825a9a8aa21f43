//! Reads the counters of a model's instances and finds what is new.
//!
//! A request that is being recorded at that moment may be found in some histograms now and in the
//! others at the next collection. None is lost and none counts twice.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::buckets::Bucket;
use super::collected::{Collected, NumberedBucket, NumberedCount};
use super::instance::{AtomicBuckets, AtomicHistogram, InstanceCounters};
use super::totals::TimeSums;

/// The counters of one instance, and the counts that have been collected from it.
pub(super) struct InstanceReader {
    counters: Arc<InstanceCounters>,
    completed: u64,
    queue: Vec<u32>,
    compute: Vec<u32>,
    total: Vec<u32>,
    buckets: Vec<Bucket>,
    sums: TimeSums,
}

/// The state of the instance behind a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceState {
    Recording,
    Ended,
}

impl InstanceReader {
    pub(super) fn new(counters: Arc<InstanceCounters>) -> Self {
        Self {
            counters,
            completed: 0,
            queue: Vec::new(),
            compute: Vec::new(),
            total: Vec::new(),
            buckets: Vec::new(),
            sums: TimeSums::default(),
        }
    }

    /// Adds the requests since the last collection. After the last ones of an ended instance, the
    /// reader is not needed any more.
    pub(super) fn collect(&mut self, into: &mut Collected) -> InstanceState {
        // The order matters: the counts that follow are at least as new.
        let state =
            if self.counters.has_ended() { InstanceState::Ended } else { InstanceState::Recording };
        let completed = self.counters.completed();
        if completed != self.completed {
            self.completed = completed;
            histogram(&self.counters.queue, &mut self.queue, &mut into.queue);
            histogram(&self.counters.compute, &mut self.compute, &mut into.compute);
            histogram(&self.counters.total, &mut self.total, &mut into.total);
            buckets(&self.counters.buckets, &mut self.buckets, &mut into.buckets);
        }
        // Failures do not count as completed.
        let (sums, last_end) = self.counters.sums.load();
        into.sums.add(&sums.since(&self.sums));
        into.last_end = into.last_end.max(last_end);
        self.sums = sums;
        state
    }
}

fn histogram(counts: &AtomicHistogram, seen: &mut Vec<u32>, into: &mut Vec<NumberedCount>) {
    for (first, counts) in counts.octaves() {
        if seen.len() < first + counts.len() {
            seen.resize(first + counts.len(), 0);
        }
        let numbered = seen.iter_mut().enumerate().skip(first);
        for ((number, seen), count) in numbered.zip(counts) {
            let newest = count.load(Ordering::Relaxed);
            let count = newest.wrapping_sub(*seen);
            if count > 0 {
                into.push(NumberedCount { number, count });
                *seen = newest;
            }
        }
    }
}

fn buckets(counts: &AtomicBuckets, seen: &mut Vec<Bucket>, into: &mut Vec<NumberedBucket>) {
    for (at, newest) in counts.all() {
        if seen.len() <= at {
            seen.resize(at + 1, Bucket::default());
        }
        let Some(seen) = seen.get_mut(at) else { continue };
        if *seen != newest {
            let bucket = Bucket {
                count: newest.count.wrapping_sub(seen.count),
                queue_us: newest.queue_us.wrapping_sub(seen.queue_us),
                compute_us: newest.compute_us.wrapping_sub(seen.compute_us),
            };
            into.push(NumberedBucket { at, bucket });
            *seen = newest;
        }
    }
}
