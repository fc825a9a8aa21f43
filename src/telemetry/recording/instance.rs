//! The counters of one instance: written by its thread without a lock and without waiting, read by
//! anyone.
//!
//! There is one writer, so a count goes up by a load and a store; no instruction locks the bus. A
//! count may wrap: readers take differences. Memory is allocated per octave on its first request, so
//! that it depends on the range of the latencies and not on the rate.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::buckets::{self, Bucket, bucket_of};
use super::log_linear::{self, LARGEST_US, number_of};
use super::silence::SilenceMeter;
use super::totals::TimeSums;

/// Records the requests of one instance. The thread that runs the instance owns it; when it is
/// dropped, its requests stay counted.
#[derive(Debug)]
pub struct InstanceRecorder {
    counters: Arc<InstanceCounters>,
    silence: Arc<SilenceMeter>,
    /// The start of the model's recorder.
    started: Instant,
}

/// The counters, shared by the instance's thread and the readers.
#[derive(Debug, Default)]
pub(super) struct InstanceCounters {
    pub(super) queue: AtomicHistogram,
    pub(super) compute: AtomicHistogram,
    pub(super) total: AtomicHistogram,
    pub(super) buckets: AtomicBuckets,
    pub(super) sums: AtomicSums,
    completed: AtomicU64,
    has_ended: AtomicBool,
}

/// Exact sums of times, in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct AtomicSums {
    queue: AtomicU64,
    compute: AtomicU64,
    failed: AtomicU64,
    /// The end of the newest completed request, since the recorder's start.
    last_end: AtomicU64,
}

/// Counts by latency, numbered as in [`log_linear`].
#[derive(Debug, Default)]
pub(super) struct AtomicHistogram([OnceLock<Octave>; log_linear::OCTAVES]);

type Octave = Box<[AtomicU32; log_linear::PER_OCTAVE]>;

/// Counts and times by bucket of the histogram pane.
#[derive(Debug, Default)]
pub(super) struct AtomicBuckets([OnceLock<BucketOctave>; buckets::OCTAVES]);

type BucketOctave = Box<[AtomicBucket; buckets::PER_OCTAVE]>;

#[derive(Debug, Default)]
struct AtomicBucket {
    count: AtomicU64,
    queue_us: AtomicU64,
    compute_us: AtomicU64,
}

impl InstanceRecorder {
    pub(super) fn new(
        counters: Arc<InstanceCounters>,
        silence: Arc<SilenceMeter>,
        started: Instant,
    ) -> Self {
        Self { counters, silence, started }
    }

    /// Records a request that completed at `at`. Times above half an hour count as half an hour.
    pub fn record(&mut self, at: Instant, queue: Duration, compute: Duration) {
        let queue_us = (queue.as_micros() as u64).min(LARGEST_US / 2);
        let compute_us = (compute.as_micros() as u64).min(LARGEST_US / 2);
        let counters = &*self.counters;
        counters.queue.record(queue_us);
        counters.compute.record(compute_us);
        counters.total.record(queue_us + compute_us);
        counters.buckets.record(queue_us, compute_us);
        counters.sums.record(at.saturating_duration_since(self.started), queue, compute);
        // Whoever sees this number sees the counts above.
        let completed = counters.completed.load(Ordering::Relaxed).wrapping_add(1);
        counters.completed.store(completed, Ordering::Release);
        self.silence.note_completion(at);
    }

    /// Records the time of a request that the instance took and that did not complete.
    pub fn record_failure(&mut self, queue: Duration, compute: Duration) {
        add(&self.counters.sums.failed, (queue + compute).as_nanos() as u64);
    }
}

/// Adds to a sum that one thread writes.
fn add(sum: &AtomicU64, more: u64) {
    sum.store(sum.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

impl Drop for InstanceRecorder {
    fn drop(&mut self) {
        self.counters.has_ended.store(true, Ordering::Release);
    }
}

impl InstanceCounters {
    /// Returns the number of completed requests. Counts that are read after it include all of them.
    pub(super) fn completed(&self) -> u64 {
        self.completed.load(Ordering::Acquire)
    }

    /// Returns true if nothing more will be recorded. Counts that are read after it are complete.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }
}

impl AtomicSums {
    fn record(&self, end: Duration, queue: Duration, compute: Duration) {
        add(&self.queue, queue.as_nanos() as u64);
        add(&self.compute, compute.as_nanos() as u64);
        self.last_end.store(end.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Returns the sums, and the end of the newest completed request since the recorder's start.
    pub(super) fn load(&self) -> (TimeSums, Duration) {
        let sums = TimeSums {
            queue: self.queue.load(Ordering::Relaxed),
            compute: self.compute.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        };
        (sums, Duration::from_nanos(self.last_end.load(Ordering::Relaxed)))
    }
}

impl AtomicHistogram {
    fn record(&self, us: u64) {
        let number = number_of(us);
        let Some(octave) = self.0.get(number / log_linear::PER_OCTAVE) else { return };
        let octave = octave.get_or_init(|| Box::new([const { AtomicU32::new(0) }; _]));
        if let Some(count) = octave.get(number % log_linear::PER_OCTAVE) {
            count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Returns the counts of the octaves in use, with the number of the first of each.
    pub(super) fn octaves(&self) -> impl Iterator<Item = (usize, &[AtomicU32])> {
        self.0.iter().enumerate().filter_map(|(at, octave)| {
            Some((at * log_linear::PER_OCTAVE, octave.get()?.as_slice()))
        })
    }
}

impl AtomicBuckets {
    fn record(&self, queue_us: u64, compute_us: u64) {
        let at = bucket_of(queue_us + compute_us);
        let Some(octave) = self.0.get(at / buckets::PER_OCTAVE) else { return };
        let octave = octave.get_or_init(Box::default);
        if let Some(bucket) = octave.get(at % buckets::PER_OCTAVE) {
            for (sum, more) in
                [(&bucket.count, 1), (&bucket.queue_us, queue_us), (&bucket.compute_us, compute_us)]
            {
                add(sum, more);
            }
        }
    }

    /// Returns the buckets of the octaves in use, with the index of each.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, Bucket)> {
        self.0.iter().enumerate().filter_map(|(at, octave)| Some((at, octave.get()?))).flat_map(
            |(at, octave)| {
                let first = at * buckets::PER_OCTAVE;
                octave.iter().enumerate().map(move |(step, bucket)| (first + step, bucket.load()))
            },
        )
    }
}

impl AtomicBucket {
    fn load(&self) -> Bucket {
        Bucket {
            count: self.count.load(Ordering::Relaxed),
            queue_us: self.queue_us.load(Ordering::Relaxed),
            compute_us: self.compute_us.load(Ordering::Relaxed),
        }
    }
}
