//! The gate: the protocol between callers and instances. It admits requests, queues them and hands
//! them to seats, the slots of instances.
//!
//! The threads of instances share one lock. Callers, the owner and the observer never wait for it,
//! because its holder may be a thread of low weight that has just lost its core. They change atomics
//! (`gate_flags.rs`) or put a job into the inbox, and then try the lock. If another thread holds it, that
//! thread finds the change or the job: every holder looks again after it has released the lock
//! ([`Gate::pump`]). Readers use the counts that each holder publishes (`published_counts.rs`).
//!
//! A job is handed to a sleeping seat directly, under the lock, before that seat is woken: no wake-up
//! can be lost and no second seat can take it. A seat that ends a job takes the next one under the same
//! lock. The seat that fell asleep last is woken first, so that seats beyond the bound stay asleep. The
//! bound and the number of runs are one word, so a bound is in force when [`Gate::set_bound`] returns.
//!
//! These files know no engine and no clock; the model checker compiles them unchanged over a substituted
//! `sync` module.

use std::time::Duration;

use super::gate_flags::{GateFlags, OwnLines};
pub(crate) use super::gate_state::{
    BATCH, Ended, JobTerms, Next, Present, SeatId, Seats, Submitted, Waiting,
};
use super::gate_state::{Mail, State};
use super::rejection::Rejection;
use super::sync::{Mutex, MutexGuard, Ordering, fence, lock, mpsc, try_lock};
use crate::layout::QueuePolicy;
use crate::telemetry::RequestCounts;

/// The gate of one model.
pub(crate) struct Gate<T> {
    pub(super) flags: GateFlags,
    inbox: mpsc::Sender<Mail<T>>,
    state: OwnLines<Mutex<State<T>>>,
}

impl<T> Gate<T> {
    /// Returns a gate with an empty queue, no seats and a bound of 0.
    pub(crate) fn new(policy: QueuePolicy) -> Self {
        let (inbox, receiver) = mpsc::channel();
        let state = OwnLines(Mutex::new(State::new(receiver)));
        Self { flags: GateFlags::new(policy), inbox, state }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state.0)
    }

    /// Waits for the lock, changes the state, and settles it. Only for the threads of instances, and for
    /// calls that nobody waits for.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        self.settle(state);
        self.pump();
        result
    }

    /// Like [`Gate::change`], for a call that changes neither the counts nor who may get a job.
    pub(super) fn look<R>(&self, look: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.lock();
        let result = look(&mut state);
        drop(state);
        self.pump();
        result
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, State<T>>> {
        try_lock(&self.state.0)
    }

    /// Settles the state, releases the lock and wakes the seats that got a job or have to end.
    fn settle(&self, mut state: MutexGuard<'_, State<T>>) {
        state.settle(&self.flags);
        let wakes = std::mem::take(&mut state.seats.wakes);
        let discarded = std::mem::take(&mut state.discarded);
        drop(state);
        wakes.wake();
        drop(discarded);
    }

    /// Does what other threads have left for the holder of the lock, unless a thread holds it, which
    /// then does it.
    fn pump(&self) {
        loop {
            // Pairs with the other threads' fences: this thread sees what they left, or they see that
            // the lock is free.
            fence(Ordering::SeqCst);
            if !self.flags.is_due() {
                return;
            }
            let Some(state) = self.try_lock() else { return };
            self.settle(state);
        }
    }

    /// Submits a job. Never waits for the lock.
    pub(crate) fn submit(&self, job: T, terms: JobTerms) -> Submitted<T> {
        if let Some(reason) = self.flags.refusal() {
            self.flags.count_refused();
            return Submitted::Rejected(job, reason);
        }
        // A job that a seat can take at once does not count against the queue's limit.
        let Some(id) = self.flags.take_room() else {
            self.flags.count_refused();
            return Submitted::Rejected(job, self.flags.full_queue());
        };
        self.flags.note_terms(&terms);
        let waiting = Waiting { id, terms, timeout: None, job };
        let direct = if self.flags.has_ready_seat() { self.try_lock() } else { None };
        if let Some(mut state) = direct {
            state.admit(&self.flags, waiting);
            self.settle(state);
            self.pump();
        } else {
            if let Err(mpsc::SendError(Mail::Job(waiting))) = self.inbox.send(Mail::Job(waiting)) {
                // Unreachable: the receiver lives as long as the gate.
                return Submitted::Rejected(waiting.job, Rejection::Removed);
            }
            self.flags.count_sent();
            // Nothing is due in a busy gate. The number sent and what this reads are in one total order
            // with the fence of a holder of the lock, so this needs no fence.
            if self.flags.is_due() {
                self.pump();
            }
        }
        // Whoever closed the gate meanwhile may have answered the waiting jobs before this one came.
        if let Some(reason) = self.flags.refusal()
            && let Some(job) = self.withdraw(id)
        {
            return Submitted::Rejected(job, reason);
        }
        Submitted::Accepted(id)
    }

    /// Removes a job that was submitted while the gate was closed, and counts it as rejected.
    fn withdraw(&self, id: u64) -> Option<T> {
        self.change(|state| {
            let found = state.remove(id)?;
            state.ended.rejected += 1;
            Some(found.job)
        })
    }

    /// Counts a job that its caller rejected before submitting it.
    pub(crate) fn count_rejected(&self) {
        self.flags.count_refused();
    }

    /// Counts a job as failed that its caller answered before submitting it, because it was wrong.
    pub(crate) fn count_wrong(&self) {
        self.flags.count_wrong();
    }

    /// Returns the reason for rejecting all jobs, if there is one.
    pub(crate) fn refusal(&self) -> Option<Rejection> {
        self.flags.refusal()
    }

    /// Removes a job that does not run and whose caller has gone away. Never waits for the lock:
    /// if another thread holds it, that thread removes the job and drops it.
    pub(crate) fn discard(&self, id: u64) -> Option<T> {
        if let Some(mut state) = self.try_lock() {
            let found = state.remove(id);
            state.ended.cancelled += u64::from(found.is_some());
            self.settle(state);
            self.pump();
            return found.map(|waiting| waiting.job);
        }
        // The receiver lives as long as the gate.
        let _ = self.inbox.send(Mail::Discard(id));
        self.changed();
        None
    }

    /// Removes a job that waits. Returns `None` if it runs or has ended. Waits for the
    /// lock, because the result says who answers.
    pub(crate) fn cancel(&self, id: u64) -> Option<T> {
        self.change(|state| {
            let found = state.remove(id)?;
            state.ended.cancelled += 1;
            Some(found.job)
        })
    }

    /// Removes jobs that have waited longer than the timeout or whose deadline has passed, [`BATCH`] at
    /// most. The caller answers them. Removes none if another thread holds the lock; the next call
    /// removes them.
    pub(crate) fn expire(&self, now: Present) -> Vec<Waiting<T>> {
        let timeout = self.flags.timeout();
        if timeout.is_none() && !self.flags.has_deadlines() {
            return Vec::new();
        }
        let Some(mut state) = self.try_lock() else { return Vec::new() };
        let expired = state.remove_late(now, timeout);
        state.ended.timed_out += expired.len() as u64;
        self.settle(state);
        self.pump();
        expired
    }

    /// Sets the number of runs at once, one job each so far. On return none starts above the bound;
    /// running jobs are not interrupted.
    pub(crate) fn set_bound(&self, bound: usize) {
        self.flags.set_bound(bound);
        self.changed();
    }

    /// Returns the longest wait of a job; `None` for no limit.
    pub(crate) fn queue_timeout(&self) -> Option<Duration> {
        self.flags.timeout()
    }

    /// Sets the queue's policy. Jobs beyond a lower limit stay; no further one is admitted.
    pub(crate) fn set_policy(&self, policy: QueuePolicy) {
        self.flags.set_policy(policy);
    }

    /// Retires serving seats until `keep` remain: sleeping ones now, longest asleep first, busy ones
    /// after their job. Applies until the bound or [`Gate::keep`] asks for more.
    pub(crate) fn trim(&self, keep: usize) {
        self.flags.set_keep(keep);
        if self.seats().serving > self.flags.keep() {
            self.changed();
        }
    }

    /// Keeps at least `count` serving seats from retiring.
    pub(crate) fn keep(&self, count: usize) {
        self.flags.raise_keep(count);
    }

    /// Retires seats of a generation that will never serve.
    pub(crate) fn abandon(&self, generation: u64) {
        // The receiver lives as long as the gate.
        let _ = self.inbox.send(Mail::Abandon(generation));
        self.changed();
    }

    /// Stops admission. Seats work until the queue is empty, then retire.
    pub(crate) fn close(&self) {
        self.flags.close();
        self.changed();
    }

    /// Rejects new jobs with a reason until it is set to `None`. Waiting jobs keep waiting.
    pub(crate) fn refuse(&self, reason: Option<Rejection>) {
        self.flags.refuse(reason);
    }

    /// Lets the held jobs ([`Gate::hold`]) be taken again.
    pub(crate) fn release(&self) {
        self.flags.count_release();
        self.changed();
    }

    fn changed(&self) {
        self.flags.mark_changed();
        self.pump();
    }

    /// Returns the number that the next submitted job gets.
    pub(crate) fn next_job(&self) -> u64 {
        self.flags.jobs()
    }

    /// Removes jobs with numbers below `before` that wait, [`BATCH`] at most, and counts them as
    /// rejected. The caller answers them.
    pub(crate) fn reject_waiting(&self, before: u64) -> Vec<Waiting<T>> {
        self.change(|state| {
            let rejected = state.remove_before(before);
            state.ended.rejected += rejected.len() as u64;
            rejected
        })
    }

    /// Returns the number of jobs per state. They balance, and include every job whose submission has
    /// returned.
    pub(crate) fn counts(&self) -> RequestCounts {
        let flags = &self.flags;
        let beside = || (flags.runs(), flags.sent(), flags.refused(), flags.wrong());
        let (counts, (runs, sent, refused, wrong)) = flags.published().read(beside);
        let waiting = counts.queued + sent.saturating_sub(counts.received);
        // A holder of the lock that starts a run counts it before it publishes. It has at least one job.
        let started = runs.saturating_sub(counts.runs);
        let waiting = waiting.saturating_sub(started);
        let executing = counts.executing + started;
        let queued = flags.queued(waiting);
        let (rejected, failed) = (counts.rejected + refused, counts.failed + wrong);
        let ended = counts.completed + failed + counts.timed_out + counts.cancelled + rejected;
        RequestCounts {
            submitted: waiting + executing + ended,
            blocked: waiting - queued,
            queued,
            executing,
            completed: counts.completed,
            rejected,
            timed_out: counts.timed_out,
            cancelled: counts.cancelled,
            failed,
        }
    }

    /// Returns the number of seats per state.
    pub(crate) fn seats(&self) -> Seats {
        let (counts, bound) = self.flags.published().read(|| self.flags.bound());
        let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let (serving, repairing) = (number(counts.serving), number(counts.repairing));
        Seats {
            serving,
            idle: number(counts.idle),
            repairing,
            others: number(counts.seats).saturating_sub(serving + repairing),
            bound,
            generation: counts.generation,
        }
    }
}
