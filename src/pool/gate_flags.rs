//! The part of a gate that callers and the owner read and change without its lock.

use std::time::Duration;

use super::gate_state::JobTerms;
use super::published_counts::PublishedCounts;
use super::rejection::Rejection;
use super::sync::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Mutex, Ordering, PoisonError};
use crate::layout::{Overflow, QueuePolicy};

/// Maximum number of callers that wait for room in the queue. Further requests are rejected, so that an
/// open-loop load into a blocked model cannot take all memory.
const BLOCKED_LIMIT: usize = 65_536;

/// No timeout.
const FOREVER: u64 = u64::MAX;

/// The number of runs and its bound in one word, so that a run starts only below the bound that is in force
/// at that instant. A run is what a seat has taken: one job, or several that its instance runs together.
struct Runs(AtomicU64);

const LOW: u64 = u32::MAX as u64;

fn bound_of(word: u64) -> u64 {
    word >> 32
}

fn runs_of(word: u64) -> u64 {
    word & LOW
}

/// A value that shares its cache lines with no other (two lines, because CPUs fetch them in pairs). A core
/// that writes it therefore delays no core that reads other values.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct OwnLines<T>(pub(super) T);

/// Atomics that each submission changes.
struct CallerFlags {
    /// Jobs admitted so far; the number of the next one.
    admitted: AtomicU64,
    /// Jobs put into the inbox.
    sent: AtomicU64,
    /// Jobs known to have left the queue: at most as many as really have, but for jobs that are held again.
    known_departed: AtomicI64,
}

/// Atomics that the holder of the lock changes.
///
/// The stores of `ready` and `received` need no total order: the holder's fence in `Gate::pump` follows
/// them. So a caller whose `sent` the holder has not seen after that fence sees them in
/// [`GateFlags::is_due`], which comes after its own `sent` in the total order.
struct HolderFlags {
    runs: Runs,
    /// Jobs that may have been admitted so far, beyond the queue's capacity: those that have left the
    /// queue, plus the seats that could start one now.
    credit: AtomicI64,
    /// Jobs that have left the queue.
    departed: AtomicI64,
    /// Jobs taken out of the inbox.
    received: AtomicU64,
    /// The number of the seat that fell asleep last; it alone waits for a moment before it sleeps.
    last_idle: AtomicU64,
}

/// Atomics that each submission reads and that seldom change.
struct Signals {
    /// Seats that could start a job now.
    ready: AtomicUsize,
    /// True if the next holder of the lock has more to do than to hand over jobs.
    changed: AtomicBool,
    closed: AtomicBool,
    refusing: AtomicBool,
    /// True once a job had a priority other than 0.
    priorities: AtomicBool,
    /// True once a job had a deadline.
    deadlines: AtomicBool,
    /// Jobs that may wait in the queue or outside it.
    capacity: AtomicI64,
}

/// Atomics beside the gate's lock.
pub(super) struct GateFlags {
    callers: OwnLines<CallerFlags>,
    holder: OwnLines<HolderFlags>,
    signals: OwnLines<Signals>,
    published: OwnLines<PublishedCounts>,
    /// The reason for rejecting jobs while the gate is open, if it does.
    refusal: Mutex<Option<Rejection>>,
    /// Jobs rejected on arrival.
    refused: AtomicU64,
    /// Jobs that were wrong on arrival.
    wrong: AtomicU64,
    /// Calls of [`Gate::release`](super::gate::Gate::release) so far.
    releases: AtomicU64,
    /// Serving seats beyond this many end when their job does; never below the bound.
    keep: AtomicUsize,
    limit: AtomicUsize,
    /// True if callers that find the queue full wait for room.
    blocks: AtomicBool,
    timeout_ns: AtomicU64,
}

impl GateFlags {
    pub(super) fn new(policy: QueuePolicy) -> Self {
        let flags = Self {
            callers: OwnLines(CallerFlags {
                admitted: AtomicU64::new(0),
                sent: AtomicU64::new(0),
                known_departed: AtomicI64::new(0),
            }),
            holder: OwnLines(HolderFlags {
                runs: Runs(AtomicU64::new(0)),
                credit: AtomicI64::new(0),
                departed: AtomicI64::new(0),
                received: AtomicU64::new(0),
                last_idle: AtomicU64::new(0),
            }),
            signals: OwnLines(Signals {
                ready: AtomicUsize::new(0),
                changed: AtomicBool::new(false),
                closed: AtomicBool::new(false),
                refusing: AtomicBool::new(false),
                priorities: AtomicBool::new(false),
                deadlines: AtomicBool::new(false),
                capacity: AtomicI64::new(0),
            }),
            published: OwnLines::default(),
            refusal: Mutex::new(None),
            refused: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
            releases: AtomicU64::new(0),
            keep: AtomicUsize::new(usize::MAX),
            limit: AtomicUsize::new(0),
            blocks: AtomicBool::new(false),
            timeout_ns: AtomicU64::new(FOREVER),
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
        self.signals.0.capacity.store(capacity, Ordering::SeqCst);
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
        self.signals.0.closed.store(true, Ordering::SeqCst);
        self.signals.0.refusing.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.signals.0.closed.load(Ordering::SeqCst)
    }

    pub(super) fn refuse(&self, reason: Option<Rejection>) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = reason;
        // Closing is for good; it may happen between these two.
        self.signals.0.refusing.store(reason.is_some(), Ordering::SeqCst);
        if self.is_closed() {
            self.signals.0.refusing.store(true, Ordering::SeqCst);
        }
    }

    /// Returns the reason for rejecting all jobs, if there is one.
    pub(super) fn refusal(&self) -> Option<Rejection> {
        if !self.signals.0.refusing.load(Ordering::SeqCst) {
            return None;
        }
        if self.is_closed() {
            return Some(Rejection::Removed);
        }
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the room of one job and returns its number. Returns `None` if there is no room.
    pub(super) fn take_room(&self) -> Option<u64> {
        let (callers, holder) = (&self.callers.0, &self.holder.0);
        let capacity = self.signals.0.capacity.load(Ordering::Acquire);
        let admit = |admitted: u64| {
            // While the queue is far from full, callers need not read what the holder writes.
            if (admitted as i64) < capacity + callers.known_departed.load(Ordering::Relaxed) {
                return Some(admitted + 1);
            }
            callers
                .known_departed
                .store(holder.departed.load(Ordering::Acquire), Ordering::Relaxed);
            let credit = holder.credit.load(Ordering::Acquire);
            ((admitted as i64) < capacity + credit).then_some(admitted + 1)
        };
        callers.admitted.fetch_update(Ordering::SeqCst, Ordering::SeqCst, admit).ok()
    }

    /// Returns the reason for rejecting a job for which there is no room.
    pub(super) fn full_queue(&self) -> Rejection {
        if self.bound() == 0 { Rejection::Paused } else { Rejection::QueueFull }
    }

    /// Returns the number that the next job will have.
    pub(super) fn jobs(&self) -> u64 {
        self.callers.0.admitted.load(Ordering::SeqCst)
    }

    /// Notes that a job has a priority or a deadline. Called before it is put into the inbox.
    pub(super) fn note_terms(&self, terms: &JobTerms) {
        let Signals { priorities, deadlines, .. } = &self.signals.0;
        if terms.priority != 0 && !priorities.load(Ordering::Relaxed) {
            priorities.store(true, Ordering::SeqCst);
        }
        if terms.deadline.is_some() && !deadlines.load(Ordering::Relaxed) {
            deadlines.store(true, Ordering::SeqCst);
        }
    }

    /// Returns true if jobs may have a priority other than 0.
    pub(super) fn has_priorities(&self) -> bool {
        self.signals.0.priorities.load(Ordering::SeqCst)
    }

    /// Returns true if jobs may have a deadline.
    pub(super) fn has_deadlines(&self) -> bool {
        self.signals.0.deadlines.load(Ordering::SeqCst)
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
        self.callers.0.sent.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn sent(&self) -> u64 {
        self.callers.0.sent.load(Ordering::SeqCst)
    }

    /// Returns true if a job is known to be in the inbox, of which `received` were taken.
    pub(super) fn has_mail(&self, received: u64) -> bool {
        self.sent() > received
    }

    pub(super) fn count_release(&self) {
        self.releases.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn releases(&self) -> u64 {
        self.releases.load(Ordering::SeqCst)
    }

    pub(super) fn mark_changed(&self) {
        self.signals.0.changed.store(true, Ordering::SeqCst);
    }

    pub(super) fn take_changed(&self) -> bool {
        self.signals.0.changed.load(Ordering::SeqCst)
            && self.signals.0.changed.swap(false, Ordering::SeqCst)
    }

    pub(super) fn has_ready_seat(&self) -> bool {
        self.signals.0.ready.load(Ordering::SeqCst) > 0
    }

    /// Returns true if something is left for a holder of the lock.
    pub(super) fn is_due(&self) -> bool {
        self.signals.0.changed.load(Ordering::SeqCst)
            || (self.has_ready_seat()
                && self.has_mail(self.holder.0.received.load(Ordering::SeqCst)))
    }

    /// Publishes the jobs taken from the inbox, those that have left the queue, and the sleeping seats that
    /// may get a job.
    pub(super) fn publish(&self, received: u64, departed: i64, idle: usize) {
        let holder = &self.holder.0;
        holder.received.store(received, Ordering::Release);
        let word = holder.runs.0.load(Ordering::SeqCst);
        let free = bound_of(word).saturating_sub(runs_of(word));
        let ready = idle.min(usize::try_from(free).unwrap_or(usize::MAX));
        holder.credit.store(departed + ready as i64, Ordering::Release);
        holder.departed.store(departed, Ordering::Release);
        // Only holders change it. A store of the same value would cost each caller a cache miss.
        if self.signals.0.ready.load(Ordering::Relaxed) != ready {
            self.signals.0.ready.store(ready, Ordering::Release);
        }
    }

    /// Returns the counts that the last holder of the lock published.
    pub(super) const fn published(&self) -> &PublishedCounts {
        &self.published.0
    }

    /// Records the seat that fell asleep last.
    pub(super) fn set_last_idle(&self, number: u64) {
        self.holder.0.last_idle.store(number, Ordering::Release);
    }

    /// Returns true if no other seat fell asleep after this one.
    pub(super) fn is_last_idle(&self, number: u64) -> bool {
        self.holder.0.last_idle.load(Ordering::Acquire) == number
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
        let set = |word: u64| Some(bound << 32 | runs_of(word));
        // The closure never returns `None`.
        let _ = self.holder.0.runs.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, set);
    }

    pub(super) fn bound(&self) -> usize {
        usize::try_from(bound_of(self.holder.0.runs.0.load(Ordering::SeqCst))).unwrap_or(usize::MAX)
    }

    /// Returns the number of runs.
    pub(super) fn runs(&self) -> u64 {
        runs_of(self.holder.0.runs.0.load(Ordering::SeqCst))
    }

    /// Counts a run as started, if the bound allows one more.
    pub(super) fn try_start(&self) -> bool {
        let start = |word: u64| (runs_of(word) < bound_of(word)).then(|| word + 1);
        self.holder.0.runs.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, start).is_ok()
    }

    /// Returns true if a run may start in place of one that has just ended.
    pub(super) fn may_continue(&self) -> bool {
        let word = self.holder.0.runs.0.load(Ordering::SeqCst);
        runs_of(word) <= bound_of(word)
    }

    /// Counts a run as ended.
    pub(super) fn end(&self) {
        self.holder.0.runs.0.fetch_sub(1, Ordering::SeqCst);
    }
}
