//! The gate: the protocol between callers and instances. It admits requests, queues them and hands
//! them to seats, the slots of instances.
//!
//! One mutex guards everything, so the counts balance at every instant and a bound is in force when
//! [`Gate::set_bound`] returns. A job is handed to a sleeping seat directly, under the lock, before
//! that seat is woken: no wake-up can be lost and no second seat can take it. A seat that ends a job
//! takes the next one under the same lock. The seat that fell asleep last is woken first, so that
//! seats beyond the bound stay asleep.
//!
//! This file knows no engine, no thread and no clock; the model checker compiles it unchanged
//! over a substituted `sync` module.

use std::time::{Duration, Instant};

use super::gate_state::{BLOCKED_LIMIT, Seat, State, Waiters};
pub(crate) use super::gate_state::{Ended, Next, SeatId, Seats, Submitted, Waiting};
use super::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use crate::layout::QueuePolicy;
use crate::telemetry::RequestCounts;

/// The gate of one model.
pub(crate) struct Gate<T> {
    state: Mutex<State<T>>,
}

impl<T> Gate<T> {
    /// Returns a gate with an empty queue, no seats and a bound of 0.
    pub(crate) fn new(policy: QueuePolicy) -> Self {
        Self { state: Mutex::new(State::new(policy)) }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code that can panic runs under the lock, so a poisoned one is still consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Submits a job. Never blocks.
    pub(crate) fn submit(&self, job: T, now: Instant) -> Submitted<T> {
        let mut state = self.lock();
        state.done.submitted += 1;
        if !state.open {
            state.done.rejected += 1;
            return Submitted::Rejected(job, "the model is being removed");
        }
        if let Some(reason) = state.refusal {
            state.done.rejected += 1;
            return Submitted::Rejected(job, reason);
        }
        let id = state.next_job;
        let waiting = Waiting { id, since: now, timeout: None, job };
        // A job that a seat can take at once does not count against the queue's limit.
        if state.queue.len() < state.policy.limit || state.can_start() {
            state.queue.push_back(waiting);
        } else if state.blocks() && state.blocked.len() < BLOCKED_LIMIT {
            state.blocked.push_back(waiting);
        } else {
            state.done.rejected += 1;
            return Submitted::Rejected(waiting.job, "the queue is full");
        }
        state.next_job += 1;
        let waiters = state.dispatch();
        drop(state);
        notify(&waiters);
        Submitted::Accepted(id)
    }

    /// Counts a job that its caller rejected before submitting it.
    pub(crate) fn count_rejected(&self) {
        let mut state = self.lock();
        state.done.submitted += 1;
        state.done.rejected += 1;
    }

    /// Removes a job that no seat has taken yet. Returns `None` if it runs or has ended.
    pub(crate) fn cancel(&self, id: u64) -> Option<T> {
        let mut state = self.lock();
        let found = state.remove_waiting(|waiting| waiting.id == id)?;
        state.done.cancelled += 1;
        let waiters = state.dispatch();
        drop(state);
        notify(&waiters);
        Some(found.job)
    }

    /// Removes the jobs that have waited longer than the timeout. The caller answers them.
    pub(crate) fn expire(&self, now: Instant) -> Vec<Waiting<T>> {
        let mut state = self.lock();
        let Some(timeout) = state.policy.timeout else { return Vec::new() };
        let late = |waiting: &Waiting<T>| now.saturating_duration_since(waiting.since) >= timeout;
        let mut expired = Vec::new();
        while state.queue.front().is_some_and(late) {
            expired.extend(state.queue.pop_front());
        }
        while state.blocked.front().is_some_and(late) {
            expired.extend(state.blocked.pop_front());
        }
        state.done.timed_out += expired.len() as u64;
        let waiters = state.dispatch();
        drop(state);
        notify(&waiters);
        expired
    }

    /// Sets the number of jobs that may run at once. On return no job starts above the bound; running
    /// jobs are not interrupted.
    pub(crate) fn set_bound(&self, bound: usize) {
        self.with_dispatch(|state| {
            state.bound = bound;
            state.keep = state.keep.max(bound);
        });
    }

    /// Returns the longest wait of a job; `None` for no limit.
    pub(crate) fn queue_timeout(&self) -> Option<Duration> {
        self.lock().policy.timeout
    }

    /// Sets the queue's policy. Jobs beyond a lower limit stay; no further one is admitted.
    pub(crate) fn set_policy(&self, policy: QueuePolicy) {
        self.with_dispatch(|state| state.policy = policy);
    }

    /// Adds a seat of a generation. It gets work once [`Gate::serve`] has made that generation the
    /// serving one, and retires once that generation is abandoned or a later one serves.
    pub(crate) fn enter(&self, generation: u64) -> SeatId {
        let mut state = self.lock();
        let id = SeatId(state.next_seat);
        state.next_seat += 1;
        let retire = !state.may_serve(generation);
        let waiter = Arc::new(Condvar::new());
        let (busy, broken) = (false, false);
        state.seats.push(Seat { id, generation, handed: None, busy, broken, retire, waiter });
        if generation == state.generation {
            state.idle.push(id);
        }
        let waiters = state.dispatch();
        drop(state);
        notify(&waiters);
        id
    }

    /// Makes a generation the serving one. Idle seats of older generations retire now, busy ones after
    /// their job. Returns false and changes nothing if the generation is older than the serving one or
    /// was abandoned.
    pub(crate) fn serve(&self, generation: u64) -> bool {
        let mut state = self.lock();
        if !state.may_serve(generation) {
            return false;
        }
        if generation == state.generation {
            return true;
        }
        state.generation = generation;
        state.abandoned.retain(|abandoned| *abandoned > generation);
        state.idle.clear();
        let mut waiters = Waiters::new();
        let mut idle = Vec::new();
        for seat in &mut state.seats {
            if seat.generation < generation {
                seat.retire = true;
                waiters.push(seat.waiter.clone());
            } else if seat.generation == generation && seat.can_sleep() {
                idle.push(seat.id);
            }
        }
        state.idle = idle;
        waiters.extend(state.dispatch());
        drop(state);
        notify(&waiters);
        true
    }

    /// Retires seats of a generation that will never serve.
    pub(crate) fn abandon(&self, generation: u64) {
        let mut state = self.lock();
        let mut waiters = Waiters::new();
        if generation > state.generation && state.may_serve(generation) {
            state.abandoned.push(generation);
            for seat in state.seats.iter_mut().filter(|seat| seat.generation == generation) {
                seat.retire = true;
                waiters.push(seat.waiter.clone());
            }
        }
        drop(state);
        notify(&waiters);
    }

    /// Retires serving seats until `keep` remain: sleeping ones now, longest asleep first, busy ones
    /// after their job. Applies until the bound or [`Gate::keep`] asks for more. Returns the number of
    /// seats retired now.
    pub(crate) fn trim(&self, keep: usize) -> usize {
        let mut state = self.lock();
        let keep = keep.max(state.bound);
        state.keep = keep;
        let generation = state.generation;
        let serving = state.serving(generation);
        let surplus = serving.saturating_sub(keep).min(state.idle.len());
        let leaving: Vec<SeatId> = state.idle.drain(..surplus).collect();
        let mut waiters = Waiters::new();
        for seat in state.seats.iter_mut().filter(|seat| leaving.contains(&seat.id)) {
            seat.retire = true;
            waiters.push(seat.waiter.clone());
        }
        drop(state);
        notify(&waiters);
        surplus
    }

    /// Keeps at least `count` serving seats from retiring.
    pub(crate) fn keep(&self, count: usize) {
        let mut state = self.lock();
        state.keep = state.keep.max(count);
    }

    /// Waits until there is a job for this seat or the seat must end.
    pub(crate) fn take(&self, id: SeatId) -> Next<T> {
        let mut state = self.lock();
        loop {
            let over = !state.open && state.queue.is_empty() && state.blocked.is_empty();
            let Some(seat) = state.seats.iter_mut().find(|seat| seat.id == id) else {
                return Next::Retire;
            };
            if let Some(job) = seat.handed.take() {
                return Next::Job(job);
            }
            if seat.retire || over {
                state.remove(id);
                return Next::Retire;
            }
            let waiter = seat.waiter.clone();
            state = waiter.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends a seat's job and returns its next one, if it may have one. After `None` the seat calls
    /// [`Gate::take`], by which time a job may already have been handed to it.
    pub(crate) fn finish(&self, id: SeatId, ended: Ended) -> Option<Waiting<T>> {
        let mut state = self.lock();
        state.end(ended);
        let stays = state.stays(id);
        let may = stays && state.executing < state.bound as u64;
        if may && let Some(next) = state.pop() {
            state.executing += 1;
            // If the bound has grown, the ended job leaves room for more than one.
            let waiters = state.dispatch();
            drop(state);
            notify(&waiters);
            return Some(next);
        }
        if let Some(seat) = state.seats.iter_mut().find(|seat| seat.id == id) {
            seat.busy = false;
            if stays {
                state.idle.push(id);
            } else {
                state.retire(id);
            }
        }
        let mut waiters = state.dispatch();
        waiters.extend(state.closing_waiters());
        drop(state);
        notify(&waiters);
        None
    }

    /// Ends a seat's job and gives it no other until [`Gate::repair`], because its instance broke and is
    /// being rebuilt.
    pub(crate) fn mark_broken(&self, id: SeatId, ended: Ended) {
        let mut state = self.lock();
        state.end(ended);
        if let Some(seat) = state.seats.iter_mut().find(|seat| seat.id == id) {
            (seat.busy, seat.broken) = (false, true);
        }
        let mut waiters = state.dispatch();
        waiters.extend(state.closing_waiters());
        drop(state);
        notify(&waiters);
    }

    /// Returns a broken seat to service after its instance was rebuilt. If it is no longer needed, its
    /// next [`Gate::take`] ends it.
    pub(crate) fn repair(&self, id: SeatId) {
        let mut state = self.lock();
        if let Some(seat) = state.seats.iter_mut().find(|seat| seat.id == id && seat.broken) {
            seat.broken = false;
            if state.stays(id) {
                state.idle.push(id);
            } else {
                state.retire(id);
            }
        }
        let waiters = state.dispatch();
        drop(state);
        notify(&waiters);
    }

    /// Removes a seat whose instance could not be rebuilt.
    pub(crate) fn remove_broken(&self, id: SeatId) {
        self.lock().remove(id);
    }

    /// Stops admission. Seats work until the queue is empty, then retire.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.open = false;
        let mut waiters = state.dispatch();
        waiters.extend(state.closing_waiters());
        drop(state);
        notify(&waiters);
    }

    /// Rejects new jobs with a reason until it is set to `None`. Waiting jobs keep waiting.
    pub(crate) fn refuse(&self, reason: Option<&'static str>) {
        self.lock().refusal = reason;
    }

    /// Removes all waiting jobs and counts them as rejected. The caller answers them.
    pub(crate) fn reject_all_waiting(&self) -> Vec<Waiting<T>> {
        let mut state = self.lock();
        let mut away: Vec<Waiting<T>> = state.queue.drain(..).collect();
        away.extend(state.blocked.drain(..));
        state.done.rejected += away.len() as u64;
        let waiters = state.closing_waiters();
        drop(state);
        notify(&waiters);
        away
    }

    /// Returns the number of jobs per state.
    pub(crate) fn counts(&self) -> RequestCounts {
        let state = self.lock();
        RequestCounts {
            blocked: state.blocked.len() as u64,
            queued: state.queue.len() as u64,
            executing: state.executing,
            ..state.done
        }
    }

    /// Returns the number of seats per state.
    pub(crate) fn seats(&self) -> Seats {
        let state = self.lock();
        let serving = state.serving(state.generation);
        let repairing = state.repairing();
        Seats {
            serving,
            idle: state.idle.len(),
            repairing,
            others: state.seats.len() - serving - repairing,
            bound: state.bound,
            generation: state.generation,
        }
    }

    fn with_dispatch(&self, change: impl FnOnce(&mut State<T>)) {
        let mut state = self.lock();
        change(&mut state);
        let waiters = state.dispatch();
        drop(state);
        notify(&waiters);
    }
}

fn notify(waiters: &[Arc<Condvar>]) {
    for waiter in waiters {
        waiter.notify_one();
    }
}
