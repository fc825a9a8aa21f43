//! The thread of one instance: builds the instance, runs a trial request, then serves until its seat
//! retires.

use std::sync::Arc;
use std::time::Duration;

use super::build::Build;
use super::event::PoolEvent;
use super::gate::SeatId;
use super::inner::Inner;
use super::serve::{WorkerExit, run, serve};
use super::threads::Member;
use crate::engine::Instance;
use crate::machine::heap::trim_heap;
use crate::machine::{CpuSet, current_thread};

/// Maximum number of attempts to rebuild a broken instance.
const REBUILDS: u32 = 3;

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
        let seat = broken.unwrap_or_else(|| inner.gate.enter(build.id().generation));
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
