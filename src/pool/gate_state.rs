//! The state under the gate's lock, and the operations on it. Callers hold the lock.

use std::time::{Duration, Instant};

use super::gate_flags::GateFlags;
use super::job_queue::JobQueue;
use super::published_counts::GateCounts;
use super::rejection::Rejection;
use super::seat_table::SeatTable;
use super::sync::{Arc, AtomicBool, MOST_HELD, mpsc};

/// Waiting jobs that [`Gate::expire`] and [`Gate::reject_waiting`] remove at most at a time.
pub(crate) const BATCH: usize = 1024;

/// Jobs that an instance without a waiting job moves from the inbox to the queue at most.
const RECEIVED_AT_ONCE: usize = 8;

/// The conditions under which a job waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobTerms {
    /// Time of submission; the queue's timeout counts from here.
    pub since: Instant,
    /// It is not run at this time or later, by the caller's clock.
    pub deadline: Option<Instant>,
    /// Jobs of a higher priority are taken first.
    pub priority: i8,
}

impl From<Instant> for JobTerms {
    /// A job of priority 0 that is submitted at this time and has no deadline.
    fn from(since: Instant) -> Self {
        Self { since, deadline: None, priority: 0 }
    }
}

/// The present instant by two clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present {
    /// By the clock of the queue's timeout, which leaves out the time in which the process was stopped.
    pub running: Instant,
    /// By the callers' clock, which gave the deadlines.
    pub callers: Instant,
}

/// A waiting job.
pub(crate) struct Waiting<T> {
    /// Its number from [`Gate::submit`].
    pub id: u64,
    /// The conditions under which it waits.
    pub terms: JobTerms,
    /// Its maximum wait, by the policy at the time when a seat took it.
    pub timeout: Option<Duration>,
    /// The job.
    pub job: T,
}

impl<T> Waiting<T> {
    /// Returns true if its wait exceeds the maximum at `now`.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        let since = self.terms.since;
        self.timeout.is_some_and(|timeout| now.saturating_duration_since(since) >= timeout)
    }
}

/// The result of submitting a job.
pub(crate) enum Submitted<T> {
    /// It waits or runs, under this number.
    Accepted(u64),
    /// It was rejected; the caller answers it.
    Rejected(T, Rejection),
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
    /// It had to wait again, and the jobs that wait have been rejected.
    Rejected,
}

/// The next step of a seat.
pub(crate) enum Next<T> {
    /// Run this job.
    Job(Waiting<T>),
    /// End; the seat is already removed.
    Retire,
}

/// A seat: the slot of one instance in the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeatId {
    pub(super) index: usize,
    /// Never used again, unlike the index.
    pub(super) number: u64,
}

/// The waiting side of a seat, for the thread of its instance.
pub(crate) struct SeatWaiter {
    pub(super) id: SeatId,
    pub(super) signal: Arc<AtomicBool>,
}

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
    /// The most runs at once: so far, of one job each.
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

/// A message to the holder of the lock.
pub(super) enum Mail<T> {
    Job(Waiting<T>),
    /// A generation will never serve.
    Abandon(u64),
    /// The caller of this job has gone away.
    Discard(u64),
}

/// Ended jobs by kind.
#[derive(Default)]
pub(super) struct EndedJobs {
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) timed_out: u64,
    pub(super) cancelled: u64,
    pub(super) rejected: u64,
}

impl EndedJobs {
    fn total(&self) -> u64 {
        self.completed + self.failed + self.timed_out + self.cancelled + self.rejected
    }
}

pub(super) struct State<T> {
    inbox: mpsc::Receiver<Mail<T>>,
    /// Jobs taken from the inbox so far.
    received: u64,
    /// Jobs taken from the inbox or handed over directly so far.
    admitted: i64,
    pub(super) queue: JobQueue<T>,
    /// Jobs that a seat took but that may not run before the next release.
    held: JobQueue<T>,
    /// Releases that moved the held jobs back to the queue so far.
    releases: u64,
    /// Waiting jobs with numbers below this have been rejected.
    rejected_before: u64,
    pub(super) seats: SeatTable<T>,
    /// Generations later than the serving one that will never serve.
    abandoned: Vec<u64>,
    /// Jobs to drop once the lock is released.
    pub(super) discarded: Vec<Waiting<T>>,
    pub(super) ended: EndedJobs,
}

impl<T> State<T> {
    pub(super) fn new(inbox: mpsc::Receiver<Mail<T>>) -> Self {
        Self {
            inbox,
            received: 0,
            admitted: 0,
            queue: JobQueue::new(),
            held: JobQueue::new(),
            releases: 0,
            rejected_before: 0,
            seats: SeatTable::new(),
            abandoned: Vec::new(),
            discarded: Vec::new(),
            ended: EndedJobs::default(),
        }
    }

    /// Returns true if a generation serves or may still serve later.
    pub(super) fn may_serve(&self, generation: u64) -> bool {
        generation >= self.seats.generation && !self.abandoned.contains(&generation)
    }

    /// Makes a generation that may serve the serving one.
    pub(super) fn serve(&mut self, generation: u64) {
        self.abandoned.retain(|abandoned| *abandoned > generation);
        self.seats.serve(generation);
    }

    fn abandon(&mut self, generation: u64) {
        if generation > self.seats.generation && self.may_serve(generation) {
            self.abandoned.push(generation);
            self.seats.retire_where(|seat| seat.generation == generation);
        }
    }

    /// Takes a job from the inbox.
    fn receive(&mut self) -> Option<Waiting<T>> {
        loop {
            match self.inbox.try_recv() {
                Ok(Mail::Job(waiting)) => {
                    self.received += 1;
                    self.admitted += 1;
                    return Some(waiting);
                }
                Ok(Mail::Abandon(generation)) => self.abandon(generation),
                // Its caller sent the job before this, so it has been received.
                Ok(Mail::Discard(id)) => {
                    let found = self.find(id);
                    self.ended.cancelled += u64::from(found.is_some());
                    self.discarded.extend(found);
                }
                Err(_) => return None,
            }
        }
    }

    /// Moves all jobs from the inbox to the queue.
    pub(super) fn receive_all(&mut self) {
        while let Some(waiting) = self.receive() {
            self.queue.push(waiting);
        }
    }

    /// Moves a few jobs from the inbox to the queue: few, because other instances wait for the lock.
    fn receive_some(&mut self) {
        for _ in 0..RECEIVED_AT_ONCE {
            let Some(waiting) = self.receive() else { return };
            self.queue.push(waiting);
        }
    }

    /// Admits a job that does not come through the inbox.
    pub(super) fn admit(&mut self, flags: &GateFlags, waiting: Waiting<T>) {
        self.admitted += 1;
        if flags.has_mail(self.received) {
            self.receive_all();
        }
        let mut waiting = Some(waiting);
        let may_hand = self.queue.is_empty() && self.seats.idle() > 0 && self.may_hand(flags, 0);
        if may_hand && flags.try_start() {
            let timeout = flags.timeout();
            waiting = waiting.and_then(|job| self.seats.hand(Waiting { timeout, ..job }));
            if waiting.is_some() {
                flags.end();
            }
        }
        self.queue.extend(waiting);
    }

    /// Removes the next job that waits.
    pub(super) fn pop(&mut self, flags: &GateFlags) -> Option<Waiting<T>> {
        if flags.has_priorities() {
            // One in the inbox may go before those in the queue.
            if flags.has_mail(self.received) {
                self.receive_all();
            }
        } else if self.queue.is_empty() && flags.has_mail(self.received) {
            self.receive_some();
        }
        self.queue.pop().map(|waiting| Waiting { timeout: flags.timeout(), ..waiting })
    }

    /// Returns true if a seat may look for a job that can start, where the calling seats end `ending` runs.
    /// If nothing else runs, one always may: a held job waits for a job that runs, or for one in the queue.
    pub(super) fn may_hand(&self, flags: &GateFlags, ending: u64) -> bool {
        self.held.len() < MOST_HELD || flags.runs() <= ending
    }

    /// Keeps a job that a seat took until the next release after the first `releases`.
    ///
    /// # Errors
    /// The job, if the jobs that wait have been rejected since it was submitted.
    pub(super) fn hold(
        &mut self,
        flags: &GateFlags,
        waiting: Waiting<T>,
        releases: u64,
    ) -> Result<(), Waiting<T>> {
        if waiting.id < self.rejected_before {
            return Err(waiting);
        }
        let is_released = flags.releases() != releases;
        let queue = if is_released { &mut self.queue } else { &mut self.held };
        queue.push(waiting);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Removes a job that does not run.
    pub(super) fn remove(&mut self, id: u64) -> Option<Waiting<T>> {
        self.receive_all();
        self.find(id)
    }

    fn find(&mut self, id: u64) -> Option<Waiting<T>> {
        self.queue.remove(id).or_else(|| self.held.remove(id))
    }

    /// Removes jobs with numbers below `before`, [`BATCH`] at most.
    pub(super) fn remove_before(&mut self, before: u64) -> Vec<Waiting<T>> {
        self.receive_all();
        self.rejected_before = self.rejected_before.max(before);
        let is_before = |waiting: &Waiting<T>| waiting.id < before;
        let (queue, held) = (&mut self.queue, &mut self.held);
        std::iter::from_fn(|| queue.pop_if(is_before).or_else(|| held.pop_if(is_before)))
            .take(BATCH)
            .collect()
    }

    /// Removes jobs whose deadline has passed or that have waited for `timeout`, [`BATCH`] at most.
    pub(super) fn remove_late(
        &mut self,
        now: Present,
        timeout: Option<Duration>,
    ) -> Vec<Waiting<T>> {
        self.receive_all();
        let is_late = |waiting: &Waiting<T>| {
            let wait = now.running.saturating_duration_since(waiting.terms.since);
            timeout.is_some_and(|timeout| wait >= timeout)
        };
        let (queue, held) = (&mut self.queue, &mut self.held);
        // A held job may wait from a later time than those behind it.
        let pop = || {
            let queued = queue.pop_late(now.callers).or_else(|| queue.pop_if(is_late));
            queued.or_else(|| held.pop_late(now.callers)).or_else(|| held.pop_any(is_late))
        };
        std::iter::from_fn(pop).take(BATCH).collect()
    }

    /// Counts the jobs of a run as ended. The caller ends the run.
    pub(super) fn count_ended(&mut self, jobs: impl IntoIterator<Item = Ended>) {
        for ended in jobs {
            match ended {
                Ended::Completed => self.ended.completed += 1,
                Ended::Failed => self.ended.failed += 1,
                Ended::TimedOut => self.ended.timed_out += 1,
                Ended::Rejected => self.ended.rejected += 1,
            }
        }
    }

    /// Returns the next job of a seat whose job has just ended, if it may have one. Otherwise the seat rests.
    pub(super) fn next_for(&mut self, flags: &GateFlags, id: SeatId) -> Option<Waiting<T>> {
        let stays = self.seats.stays(id, flags.keep());
        let may_continue = stays && flags.may_continue() && self.may_hand(flags, 1);
        let next = if may_continue { self.pop(flags) } else { None };
        if next.is_none() {
            flags.end();
            self.rest(flags, id);
        }
        next
    }

    /// Puts a seat without a job to sleep, or retires it if it is no longer needed.
    pub(super) fn rest(&mut self, flags: &GateFlags, id: SeatId) {
        if self.seats.stays(id, flags.keep()) {
            self.seats.rest(id);
            flags.set_last_idle(id.number);
        } else {
            self.seats.retire(id);
        }
    }

    /// Brings the seats up to date before the lock is released: follows changes made without the
    /// lock, hands waiting jobs to sleeping seats, and publishes the counts.
    pub(super) fn settle(&mut self, flags: &GateFlags) {
        if flags.take_changed() {
            self.receive_all();
            self.release(flags);
            self.seats.trim(flags.keep());
        }
        while self.seats.idle() > 0
            && self.may_hand(flags, 0)
            && (!self.queue.is_empty() || flags.has_mail(self.received))
            && flags.try_start()
        {
            let job = self.pop(flags);
            let is_handed = job.is_some();
            let unhanded = job.and_then(|job| self.seats.hand(job));
            if unhanded.is_some() || !is_handed {
                flags.end();
                self.queue.extend(unhanded);
                break;
            }
        }
        if flags.is_closed() {
            self.receive_all();
            if self.queue.is_empty() && self.held.is_empty() {
                self.seats.retire_sleeping();
            }
        }
        self.publish(flags);
    }

    /// Moves the held jobs back to the queue, if there was a release since.
    fn release(&mut self, flags: &GateFlags) {
        let releases = flags.releases();
        if releases != self.releases {
            self.releases = releases;
            self.queue.append(&mut self.held);
        }
    }

    fn publish(&mut self, flags: &GateFlags) {
        let waiting = self.queue.len() + self.held.len();
        let departed = self.admitted - waiting as i64;
        let ready = if self.may_hand(flags, 0) { self.seats.idle() } else { 0 };
        flags.publish(self.received, departed, ready);
        flags.published().publish(&GateCounts {
            completed: self.ended.completed,
            failed: self.ended.failed,
            timed_out: self.ended.timed_out,
            cancelled: self.ended.cancelled,
            rejected: self.ended.rejected,
            queued: waiting as u64,
            executing: (departed as u64).saturating_sub(self.ended.total()),
            runs: flags.runs(),
            received: self.received,
            serving: self.seats.serving as u64,
            idle: self.seats.idle() as u64,
            repairing: self.seats.repairing as u64,
            seats: self.seats.len() as u64,
            generation: self.seats.generation,
        });
    }
}
