//! The part of a gate that callers and the owner read and change without its lock.

use std::time::Duration;

use super::published_counts::PublishedCounts;
use super::rejection::Rejection;
use super::sync::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Mutex, Ordering, PoisonError};
use crate::layout::{Overflow, QueuePolicy};

/// Maximum number of callers that wait for room in the queue. Further requests are rejected, so that an
/// open-loop load into a blocked model cannot take all memory.
const BLOCKED_LIMIT: usize = 65_536;

/// No timeout.
const FOREVER: u64 = u64::MAX;

/// The number of running jobs and its bound in one word, so that a job starts only below the bound
/// that is in force at that instant.
struct RunningJobs(AtomicU64);

const LOW: u64 = u32::MAX as u64;

fn bound_of(word: u64) -> u64 {
    word >> 32
}

fn executing_of(word: u64) -> u64 {
    word & LOW
}

/// Atomics beside the gate's lock.
pub(super) struct GateFlags {
    running: RunningJobs,
    /// Jobs that may still be admitted: the queue's limit, plus the seats that could start one now,
    /// minus the jobs that wait.
    room: AtomicI64,
    /// Seats that could start a job now.
    ready: AtomicUsize,
    /// Jobs put into the inbox, and jobs taken out of it.
    sent: AtomicU64,
    received: AtomicU64,
    /// True if the next holder of the lock has more to do than to hand over jobs.
    changed: AtomicBool,
    closed: AtomicBool,
    refusing: AtomicBool,
    /// The reason for rejecting jobs while the gate is open, if it does.
    refusal: Mutex<Option<Rejection>>,
    /// Jobs rejected on arrival.
    refused: AtomicU64,
    /// Jobs that were wrong on arrival.
    wrong: AtomicU64,
    next_job: AtomicU64,
    /// Serving seats beyond this many end when their job does; never below the bound.
    keep: AtomicUsize,
    limit: AtomicUsize,
    /// True if callers that find the queue full wait for room.
    blocks: AtomicBool,
    /// Jobs that may wait in the queue or outside it.
    capacity: AtomicI64,
    timeout_ns: AtomicU64,
    pub(super) published: PublishedCounts,
}

impl GateFlags {
    pub(super) fn new(policy: QueuePolicy) -> Self {
        let flags = Self {
            running: RunningJobs(AtomicU64::new(0)),
            room: AtomicI64::new(0),
            ready: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            changed: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            refusing: AtomicBool::new(false),
            refusal: Mutex::new(None),
            refused: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
            next_job: AtomicU64::new(0),
            keep: AtomicUsize::new(usize::MAX),
            limit: AtomicUsize::new(0),
            blocks: AtomicBool::new(false),
            capacity: AtomicI64::new(0),
            timeout_ns: AtomicU64::new(FOREVER),
            published: PublishedCounts::default(),
        };
        flags.set_policy(policy);
        flags
    }

    pub(super) fn set_policy(&self, policy: QueuePolicy) {
        let blocks = policy.overflow == Overflow::Block;
        let capacity = policy.limit.saturating_add(if blocks { BLOCKED_LIMIT } else { 0 });
        let capacity = i64::try_from(capacity).unwrap_or(i64::MAX).min(i64::MAX / 2);
        let timeout = policy
            .timeout
            .map_or(FOREVER, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(FOREVER));
        self.timeout_ns.store(timeout, Ordering::SeqCst);
        self.limit.store(policy.limit, Ordering::SeqCst);
        self.blocks.store(blocks, Ordering::SeqCst);
        let before = self.capacity.swap(capacity, Ordering::SeqCst);
        self.room.fetch_add(capacity - before, Ordering::SeqCst);
    }

    /// Returns the longest wait of a job; `None` for no limit.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let timeout = self.timeout_ns.load(Ordering::Relaxed);
        (timeout != FOREVER).then(|| Duration::from_nanos(timeout))
    }

    /// Returns how many of the waiting jobs are in the queue; the others wait for room in it.
    pub(super) fn queued(&self, waiting: u64) -> u64 {
        if self.blocks.load(Ordering::Relaxed) {
            waiting.min(self.limit.load(Ordering::Relaxed) as u64)
        } else {
            waiting
        }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.refusing.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn refuse(&self, reason: Option<Rejection>) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = reason;
        // Closing is for good; it may happen between these two.
        self.refusing.store(reason.is_some(), Ordering::SeqCst);
        if self.is_closed() {
            self.refusing.store(true, Ordering::SeqCst);
        }
    }

    /// Returns the reason for rejecting all jobs, if there is one.
    pub(super) fn refusal(&self) -> Option<Rejection> {
        if !self.refusing.load(Ordering::SeqCst) {
            return None;
        }
        if self.is_closed() {
            return Some(Rejection::Removed);
        }
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the room of one job. Returns false if there is none.
    pub(super) fn take_room(&self) -> bool {
        let take = |room: i64| (room > 0).then(|| room - 1);
        self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
    }

    /// Returns the reason for rejecting a job for which there is no room.
    pub(super) fn full_queue(&self) -> Rejection {
        if self.bound() == 0 { Rejection::Paused } else { Rejection::QueueFull }
    }

    pub(super) fn add_room(&self, jobs: i64) {
        if jobs != 0 {
            self.room.fetch_add(jobs, Ordering::SeqCst);
        }
    }

    /// Returns the number of a new job.
    pub(super) fn next_job(&self) -> u64 {
        self.next_job.fetch_add(1, Ordering::SeqCst)
    }

    /// Returns the number that the next job will have.
    pub(super) fn jobs(&self) -> u64 {
        self.next_job.load(Ordering::SeqCst)
    }

    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    pub(super) fn count_wrong(&self) {
        self.wrong.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn wrong(&self) -> u64 {
        self.wrong.load(Ordering::SeqCst)
    }

    pub(super) fn count_sent(&self) {
        self.sent.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Returns true if a job is known to be in the inbox, of which `received` were taken.
    pub(super) fn has_mail(&self, received: u64) -> bool {
        self.sent() > received
    }

    pub(super) fn mark_changed(&self) {
        self.changed.store(true, Ordering::SeqCst);
    }

    pub(super) fn take_changed(&self) -> bool {
        self.changed.load(Ordering::SeqCst) && self.changed.swap(false, Ordering::SeqCst)
    }

    pub(super) fn has_ready_seat(&self) -> bool {
        self.ready.load(Ordering::SeqCst) > 0
    }

    /// Returns true if something is left for a holder of the lock.
    pub(super) fn is_due(&self) -> bool {
        self.changed.load(Ordering::SeqCst)
            || (self.has_ready_seat() && self.has_mail(self.received.load(Ordering::SeqCst)))
    }

    /// Publishes the jobs taken from the inbox and the sleeping seats. Returns the seats that could
    /// start a job now.
    pub(super) fn publish(&self, received: u64, idle: usize) -> usize {
        self.received.store(received, Ordering::SeqCst);
        let word = self.running.0.load(Ordering::SeqCst);
        let free = bound_of(word).saturating_sub(executing_of(word));
        let ready = idle.min(usize::try_from(free).unwrap_or(usize::MAX));
        self.ready.store(ready, Ordering::SeqCst);
        ready
    }

    pub(super) fn keep(&self) -> usize {
        self.keep.load(Ordering::SeqCst).max(self.bound())
    }

    pub(super) fn set_keep(&self, count: usize) {
        self.keep.store(count, Ordering::SeqCst);
    }

    pub(super) fn raise_keep(&self, count: usize) {
        self.keep.fetch_max(count, Ordering::SeqCst);
    }

    pub(super) fn set_bound(&self, bound: usize) {
        let bound = (bound as u64).min(LOW);
        let set = |word: u64| Some(bound << 32 | executing_of(word));
        // The closure never returns `None`.
        let _ = self.running.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, set);
    }

    pub(super) fn bound(&self) -> usize {
        usize::try_from(bound_of(self.running.0.load(Ordering::SeqCst))).unwrap_or(usize::MAX)
    }

    pub(super) fn executing(&self) -> u64 {
        executing_of(self.running.0.load(Ordering::SeqCst))
    }

    /// Counts a job as running, if the bound allows one more.
    pub(super) fn try_start(&self) -> bool {
        let start = |word: u64| (executing_of(word) < bound_of(word)).then(|| word + 1);
        self.running.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, start).is_ok()
    }

    /// Returns true if a job may start in place of one that has just ended.
    pub(super) fn may_continue(&self) -> bool {
        let word = self.running.0.load(Ordering::SeqCst);
        executing_of(word) <= bound_of(word)
    }

    /// Counts a running job as ended.
    pub(super) fn end(&self) {
        self.running.0.fetch_sub(1, Ordering::SeqCst);
    }
}
