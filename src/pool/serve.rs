//! The request loop of one instance: takes requests from the gate, runs and answers them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gate::{Ended, Next, SeatId, Waiting};
use super::health::{HealthChecks, run_trial};
use super::inner::Inner;
use super::job::Job;
use super::memory_turn::{Attempt, run_within_budget};
use super::request::RequestError;
use super::taken_job::TakenJob;
use crate::engine::{Instance, NamedTensor};
use crate::machine::{panic_message, running_now};

/// The reason why a worker left its loop.
pub(super) enum WorkerExit {
    /// The gate retired it.
    Retired,
    /// The instance broke while it ran a request; its seat waits for a new one.
    Broken(SeatId),
    /// Its trial request failed.
    Cold(String),
}

/// Runs requests until the gate retires the seat or the instance breaks.
pub(super) fn serve(inner: &Arc<Inner>, seat: SeatId, built: &mut dyn Instance) -> WorkerExit {
    let Some(waiter) = inner.gate.waiter(seat) else { return WorkerExit::Retired };
    let mut recorder = inner.recorder.instance();
    let mut checks = HealthChecks::default();
    // The next job, with the time when its seat took it.
    let mut next = None;
    loop {
        let (waiting, start) = match next.take() {
            Some(next) => next,
            None => match inner.gate.take(&waiter) {
                Next::Job(waiting) => (waiting, running_now()),
                Next::Retire => return WorkerExit::Retired,
            },
        };
        let late = waiting.is_late(start);
        let Waiting { id, mut terms, timeout, job } = waiting;
        let Job { inputs, arrival, reply, charge, mut alone } = job;
        // The start may be older than the request: it is the end of the job before.
        let late = late || terms.deadline.is_some_and(|deadline| deadline <= Instant::now());
        let queue = start.saturating_duration_since(arrival);
        let taken = TakenJob::new(inner, seat, queue, reply);
        if late {
            drop((charge, alone));
            recorder.record_failure(queue, Duration::ZERO);
            let waited = start.saturating_duration_since(terms.since);
            let error = RequestError::TimedOut { waited };
            let after = taken.finish(Ended::TimedOut, Err(error), Duration::ZERO);
            next = after.map(|waiting| (waiting, running_now()));
            continue;
        }
        let result = match run_within_budget(inner, built, &inputs, &mut alone) {
            Attempt::Ended(result) => result,
            Attempt::Wait(order) => {
                let now = running_now();
                if order.has_run {
                    // The timeout of the queue is not to count its run.
                    terms.since = now;
                }
                let after = taken.hold(order.releases, |reply| {
                    let job = Job { inputs, arrival, reply, charge, alone };
                    Waiting { id, terms, timeout, job }
                });
                next = after.map(|waiting| (waiting, now));
                continue;
            }
        };
        // One reading of the clock ends this job and starts the next: the reply counts to the latter.
        let end = running_now();
        let compute = end.saturating_duration_since(start);
        let has_copied = result.is_ok() && inner.trial.keep(&inputs, end, &inner.memory);
        drop(inputs);
        drop((charge, alone));
        // A failure may be the request's fault: only one that a known good request repeats breaks the
        // instance.
        let broken = match &result {
            Ok(_) => false,
            Err(error) => checks.is_broken(error, end, || run_trial(inner, built)),
        };
        if result.is_ok() {
            recorder.record(end, queue, compute);
        } else {
            recorder.record_failure(queue, compute);
        }
        if broken {
            taken.break_seat(result, compute);
            return WorkerExit::Broken(seat);
        }
        let ended = if result.is_ok() { Ended::Completed } else { Ended::Failed };
        // A check or a copy took time that is not the next request's.
        let end = if result.is_ok() && !has_copied { end } else { running_now() };
        next = taken.finish(ended, result, compute).map(|waiting| (waiting, end));
    }
}

/// Runs one request. A panic of the engine becomes an error.
pub(super) fn run(
    built: &mut dyn Instance,
    inputs: &[NamedTensor],
) -> Result<Vec<NamedTensor>, RequestError> {
    match catch_unwind(AssertUnwindSafe(|| built.run(inputs))) {
        Ok(result) => result.map_err(RequestError::from),
        Err(panic) => Err(RequestError::Panicked { message: panic_message(&*panic) }),
    }
}
