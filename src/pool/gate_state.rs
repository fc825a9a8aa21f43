//! The state under the gate's mutex, and the operations on it. Callers hold the lock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::sync::{Arc, Condvar};
use crate::layout::{Overflow, QueuePolicy};
use crate::telemetry::RequestCounts;

/// The waiters to notify once the lock is released.
pub(super) type Waiters = Vec<Arc<Condvar>>;

/// Maximum number of callers that wait for room in the queue. Further requests are rejected, so that an
/// open-loop load into a blocked model cannot take all memory.
pub(super) const BLOCKED_LIMIT: usize = 65_536;

/// A waiting job and its time of arrival.
pub(crate) struct Waiting<T> {
    /// Its number from [`Gate::submit`].
    pub id: u64,
    /// Time of submission; the queue's timeout counts from here.
    pub since: Instant,
    /// Its maximum wait, by the policy at the time when a seat took it.
    pub timeout: Option<Duration>,
    /// The job.
    pub job: T,
}

impl<T> Waiting<T> {
    /// Returns true if its wait exceeds the maximum at `now`.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        self.timeout.is_some_and(|timeout| now.saturating_duration_since(self.since) >= timeout)
    }
}

/// The result of submitting a job.
pub(crate) enum Submitted<T> {
    /// It waits or runs, under this number.
    Accepted(u64),
    /// It was rejected; the caller answers it.
    Rejected(T, &'static str),
}

/// The end of a job in an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With an answer.
    Completed,
    /// With an error or a panic.
    Failed,
    /// Its wait had run out when the instance took it; it was not run.
    TimedOut,
}

/// The next step of a seat.
pub(crate) enum Next<T> {
    /// Run this job.
    Job(Waiting<T>),
    /// End; the seat is already removed.
    Retire,
}

/// A seat: the slot of one instance in the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SeatId(pub(super) u64);

/// The number of seats per state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seats {
    /// Seats of the serving generation.
    pub serving: usize,
    /// Serving seats that are asleep.
    pub idle: usize,
    /// Seats of the serving generation whose broken instance is being built again.
    pub repairing: usize,
    /// Seats of other generations: not yet serving, or ending their last job.
    pub others: usize,
    /// Jobs that may run at once.
    pub bound: usize,
    /// The serving generation.
    pub generation: u64,
}

impl Seats {
    /// Returns true if an instance serves or is being rebuilt.
    pub fn any(&self) -> bool {
        self.serving + self.repairing > 0
    }
}

pub(super) struct Seat<T> {
    pub(super) id: SeatId,
    pub(super) generation: u64,
    /// Handed to this seat and not yet picked up.
    pub(super) handed: Option<Waiting<T>>,
    pub(super) busy: bool,
    /// Its instance is being built again.
    pub(super) broken: bool,
    pub(super) retire: bool,
    pub(super) waiter: Arc<Condvar>,
}

impl<T> Seat<T> {
    /// Returns true if it may wait for a job.
    pub(super) fn can_sleep(&self) -> bool {
        !self.busy && !self.broken && !self.retire
    }
}

pub(super) struct State<T> {
    pub(super) queue: VecDeque<Waiting<T>>,
    pub(super) blocked: VecDeque<Waiting<T>>,
    pub(super) seats: Vec<Seat<T>>,
    /// Idle seats of the serving generation; the last one fell asleep last.
    pub(super) idle: Vec<SeatId>,
    pub(super) generation: u64,
    /// Generations later than the serving one that will never serve.
    pub(super) abandoned: Vec<u64>,
    pub(super) bound: usize,
    /// Serving seats beyond this many end when their job does; never below the bound.
    pub(super) keep: usize,
    pub(super) policy: QueuePolicy,
    pub(super) open: bool,
    /// The reason for rejecting jobs while the gate is open, if it does.
    pub(super) refusal: Option<&'static str>,
    pub(super) next_job: u64,
    pub(super) next_seat: u64,
    pub(super) done: RequestCounts,
    pub(super) executing: u64,
}

impl<T> State<T> {
    pub(super) fn new(policy: QueuePolicy) -> Self {
        Self {
            queue: VecDeque::new(),
            blocked: VecDeque::new(),
            seats: Vec::new(),
            idle: Vec::new(),
            generation: 0,
            abandoned: Vec::new(),
            bound: 0,
            keep: usize::MAX,
            policy,
            open: true,
            refusal: None,
            next_job: 0,
            next_seat: 0,
            done: RequestCounts::default(),
            executing: 0,
        }
    }

    pub(super) fn serving(&self, generation: u64) -> usize {
        let serves = |seat: &&Seat<T>| seat.generation == generation && !seat.retire;
        self.seats.iter().filter(serves).filter(|seat| !seat.broken).count()
    }

    /// Broken seats of the serving generation that are still needed.
    pub(super) fn repairing(&self) -> usize {
        let serves = |seat: &&Seat<T>| seat.generation == self.generation && !seat.retire;
        self.seats.iter().filter(serves).filter(|seat| seat.broken).count()
    }

    /// Returns true if a generation serves or may still serve later.
    pub(super) fn may_serve(&self, generation: u64) -> bool {
        generation >= self.generation && !self.abandoned.contains(&generation)
    }

    /// Returns true if a seat keeps serving after its job.
    pub(super) fn stays(&self, id: SeatId) -> bool {
        let seat = self.seats.iter().find(|seat| seat.id == id);
        seat.is_some_and(|seat| seat.generation == self.generation && !seat.retire)
            && self.serving(self.generation) <= self.keep
    }

    /// Makes a seat end at its next check.
    pub(super) fn retire(&mut self, id: SeatId) {
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.id == id) {
            seat.retire = true;
        }
    }

    /// Returns true if callers that find the queue full wait for room.
    pub(super) fn blocks(&self) -> bool {
        self.policy.overflow == Overflow::Block
    }

    pub(super) fn can_start(&self) -> bool {
        self.queue.is_empty() && self.executing < self.bound as u64 && !self.idle.is_empty()
    }

    /// Removes the next job from the queue; a blocked caller takes the freed place.
    pub(super) fn pop(&mut self) -> Option<Waiting<T>> {
        let mut next = self.queue.pop_front()?;
        next.timeout = self.policy.timeout;
        self.admit_blocked();
        Some(next)
    }

    pub(super) fn admit_blocked(&mut self) {
        while self.queue.len() < self.policy.limit {
            let Some(waiting) = self.blocked.pop_front() else { return };
            self.queue.push_back(waiting);
        }
    }

    /// Hands waiting jobs to sleeping seats while the bound allows. Returns the waiters to notify.
    pub(super) fn dispatch(&mut self) -> Waiters {
        let mut waiters = Waiters::new();
        self.admit_blocked();
        while self.executing < self.bound as u64 && !self.queue.is_empty() {
            let Some(id) = self.idle.pop() else { break };
            let Some(job) = self.pop() else { break };
            if let Some(seat) = self.seats.iter_mut().find(|seat| seat.id == id) {
                seat.handed = Some(job);
                seat.busy = true;
                self.executing += 1;
                waiters.push(seat.waiter.clone());
            }
        }
        waiters
    }

    /// Returns all sleeping seats, to retire, if the gate is closed and no job waits.
    pub(super) fn closing_waiters(&self) -> Waiters {
        if self.open || !self.queue.is_empty() || !self.blocked.is_empty() {
            return Waiters::new();
        }
        self.seats.iter().filter(|seat| !seat.busy).map(|seat| seat.waiter.clone()).collect()
    }

    pub(super) fn end(&mut self, ended: Ended) {
        self.executing -= 1;
        match ended {
            Ended::Completed => self.done.completed += 1,
            Ended::Failed => self.done.failed += 1,
            Ended::TimedOut => self.done.timed_out += 1,
        }
    }

    pub(super) fn remove(&mut self, id: SeatId) {
        self.seats.retain(|seat| seat.id != id);
        self.idle.retain(|idle| *idle != id);
    }

    pub(super) fn remove_waiting(
        &mut self,
        found: impl Fn(&Waiting<T>) -> bool,
    ) -> Option<Waiting<T>> {
        if let Some(at) = self.queue.iter().position(&found) {
            let waiting = self.queue.remove(at);
            self.admit_blocked();
            return waiting;
        }
        let at = self.blocked.iter().position(&found)?;
        self.blocked.remove(at)
    }
}
