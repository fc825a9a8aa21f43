//! The thread of one instance: builds the instance, runs a trial request, then takes requests from the
//! gate until it retires.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::build::Build;
use super::event::PoolEvent;
use super::gate::{Ended, Next, SeatId, Waiting};
use super::inner::{Inner, Job};
use super::memory::RunVerdict;
use super::panic_message::panic_message;
use super::request::{Outcome, Request, RequestError, answer};
use super::threads::Member;
use crate::engine::{EngineError, Instance, NamedTensor};
use crate::machine::heap::trim_heap;
use crate::machine::{CpuSet, current_thread};

/// Maximum number of attempts to rebuild a broken instance.
const REBUILDS: u32 = 3;

/// The reason why a worker left its loop.
enum WorkerExit {
    /// The gate retired it.
    Retired,
    /// The instance broke while it ran a request; its seat waits for a new one.
    Broken(SeatId),
    /// Its trial request failed.
    Cold(String),
}

/// The body of a worker's thread.
pub(super) fn work(inner: &Arc<Inner>, build: &Arc<Build>, instance: usize, building_on: CpuSet) {
    // Threads that the engine creates inherit this mask for good, so it must not be narrower.
    // If setting it fails, the process's own mask applies, which is wider.
    let _ = inner.machine.set_affinity(current_thread(), &building_on);
    // The seat of an instance that broke.
    let mut broken = None;
    let mut failures = 0;
    loop {
        let left = match inner.build_instance(build.setup()) {
            Ok(mut built) => occupy(inner, build, instance, broken, built.as_mut()),
            Err(error) => WorkerExit::Cold(error.to_string()),
        };
        inner.threads.leave(instance);
        match left {
            WorkerExit::Retired => return,
            WorkerExit::Broken(seat) => (broken, failures) = (Some(seat), 0),
            WorkerExit::Cold(reason) => {
                let Some(seat) = broken else { return build.fail(inner, reason) };
                failures += 1;
                if failures > REBUILDS {
                    inner.gate.remove_broken(seat);
                    return inner.lost(instance, reason);
                }
                std::thread::sleep(Duration::from_millis(50) * failures);
            }
        }
    }
}

/// Serves with one built instance, on the thread that its engine prefers.
fn occupy(
    inner: &Arc<Inner>,
    build: &Arc<Build>,
    instance: usize,
    broken: Option<SeatId>,
    built: &mut dyn Instance,
) -> WorkerExit {
    let outer = current_thread();
    let mut left = WorkerExit::Retired;
    built.occupy(&mut |built| {
        let own = current_thread();
        let mut members = vec![Member { id: own, instance, helper: false }];
        let helpers = built.threads().into_iter().chain([outer]).filter(|id| *id != own);
        members.extend(helpers.map(|id| Member { id, instance, helper: true }));
        let reasons = inner.threads.join(&members);
        if !reasons.is_empty() {
            inner.report(PoolEvent::PlacementMismatch { reasons });
        }
        if let Err(reason) = warm_up(inner, built) {
            left = WorkerExit::Cold(reason);
            return;
        }
        if broken.is_none()
            && let Some(model) = inner.model()
            && let Err(error) = inner.memory.fits(&*model)
        {
            left = WorkerExit::Cold(error.to_string());
            return;
        }
        let seat = broken.unwrap_or_else(|| inner.gate.enter(build.generation()));
        if broken.is_some() {
            inner.gate.repair(seat);
        } else {
            build.ready(inner);
            // Reading files and rewriting graphs leaves free pages in the heap.
            trim_heap();
        }
        left = serve(inner, seat, built);
    });
    left
}

/// Runs one trial request, so that the first real one finds warm caches and arenas.
fn warm_up(inner: &Inner, built: &mut dyn Instance) -> Result<(), String> {
    let Some(inputs) = inner.warm_up_inputs() else { return Ok(()) };
    match run(built, &inputs) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the trial request failed: {error}")),
    }
}

fn serve(inner: &Inner, seat: SeatId, built: &mut dyn Instance) -> WorkerExit {
    let mut next = None;
    loop {
        let waiting = match next.take() {
            Some(waiting) => waiting,
            None => match inner.gate.take(seat) {
                Next::Job(waiting) => waiting,
                Next::Retire => return WorkerExit::Retired,
            },
        };
        let start = Instant::now();
        let late = waiting.is_late(start);
        let Waiting { since, job, .. } = waiting;
        let Job { request: Request { inputs, arrival, reply }, charge } = job;
        let queue = start.saturating_duration_since(arrival);
        if late {
            drop(charge);
            next = inner.gate.finish(seat, Ended::TimedOut);
            let waited = start.saturating_duration_since(since);
            let result = Err(RequestError::TimedOut { waited });
            answer(reply, Outcome { result, queue, compute: Duration::ZERO });
            continue;
        }
        let result = within_budget(inner, built, &inputs);
        let end = Instant::now();
        let compute = end.saturating_duration_since(start);
        drop(inputs);
        drop(charge);
        let broken = matches!(
            result,
            Err(RequestError::Panicked { .. } | RequestError::Failed(EngineError::Run { .. }))
        );
        if result.is_ok() {
            inner.recorder.record(end, queue, compute);
        }
        let ended = if result.is_ok() { Ended::Completed } else { Ended::Failed };
        if broken {
            inner.gate.mark_broken(seat, ended);
            answer(reply, Outcome { result, queue, compute });
            return WorkerExit::Broken(seat);
        }
        next = inner.gate.finish(seat, ended);
        answer(reply, Outcome { result, queue, compute });
    }
}

/// Runs a request within the memory budget. If it exceeds the budget together with others, it runs
/// again alone; if it exceeds it alone, it fails.
fn within_budget(
    inner: &Inner,
    built: &mut dyn Instance,
    inputs: &[NamedTensor],
) -> Result<Vec<NamedTensor>, RequestError> {
    let limited = inner.memory.limit().and_then(|_| inner.model());
    let Some(model) = limited else { return run(built, inputs) };
    let mut shared = inner.memory.start(&*model, inputs)?;
    loop {
        let running = match shared.take() {
            Some(running) => running,
            None => inner.memory.start_alone(&*model, inputs, || inner.shrink())?,
        };
        let result = run(built, inputs)?;
        match inner.memory.ran(&running, &*model) {
            Ok(RunVerdict::Fits) => return Ok(result),
            Ok(RunVerdict::RunAlone) => {}
            Err(error) => {
                // Drop its results first, so that the engine can free their memory.
                drop(result);
                inner.shrink();
                return Err(error.into());
            }
        }
    }
}

fn run(built: &mut dyn Instance, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, RequestError> {
    match catch_unwind(AssertUnwindSafe(|| built.run(inputs))) {
        Ok(result) => result.map_err(RequestError::from),
        Err(panic) => Err(RequestError::Panicked { message: panic_message(&*panic) }),
    }
}
