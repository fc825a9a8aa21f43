//! The thread of one instance: builds the instance, runs a trial request, then serves until its seat
//! retires.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::build::Build;
use super::build_places::{BuildPlace, BuildStep};
use super::builders::Builder;
use super::event::PoolEvent;
use super::gate::SeatId;
use super::health::run_trial;
use super::inner::Inner;
use super::serve::{WorkerExit, serve};
use super::threads::Member;
use crate::engine::Instance;
use crate::machine::heap::request_trim;
use crate::machine::{current_thread, panic_message};

/// Maximum number of attempts to rebuild a broken instance.
const REBUILDS: u32 = 3;

/// The body of a worker's thread.
pub(super) fn work(inner: &Arc<Inner>, build: &Arc<Build>, instance: usize) {
    let worker = Worker { inner, build, instance };
    // The seat of an instance that broke.
    let mut broken = None;
    let mut failures = 0;
    loop {
        let attempt = catch_unwind(AssertUnwindSafe(|| worker.build_and_serve(&mut broken)));
        match attempt.unwrap_or_else(|panic| panicked(&*panic)) {
            WorkerExit::Retired => return,
            WorkerExit::Broken(seat) => (broken, failures) = (Some(seat), 0),
            WorkerExit::Cold(reason) => {
                let Some(seat) = broken else { return build.fail(inner, reason) };
                failures += 1;
                if failures > REBUILDS {
                    inner.gate.remove(seat);
                    return inner.lost(instance, reason);
                }
                std::thread::sleep(Duration::from_millis(50) * failures);
            }
        }
    }
}

/// Returns the exit of a worker that panicked outside of a run.
fn panicked(panic: &(dyn Any + Send)) -> WorkerExit {
    WorkerExit::Cold(format!("its thread panicked: {}", panic_message(panic)))
}

/// The threads of an instance, as members of its model. Dropping it removes them.
struct JoinedThreads<'a> {
    inner: &'a Inner,
    instance: usize,
}

impl Drop for JoinedThreads<'_> {
    fn drop(&mut self) {
        self.inner.threads.leave(self.instance);
    }
}

/// One instance's worker.
struct Worker<'a> {
    inner: &'a Arc<Inner>,
    build: &'a Arc<Build>,
    instance: usize,
}

impl Worker<'_> {
    /// Builds an instance and serves with it. `seat` is as for [`Worker::occupy`].
    fn build_and_serve(&self, seat: &mut Option<SeatId>) -> WorkerExit {
        let builder = Builder::new(self.inner);
        builder.add_current_thread();
        let Some(place) = self.place(BuildStep::Build, *seat) else { return self.cancelled(*seat) };
        if seat.is_none() && !self.build.start() {
            return WorkerExit::Retired;
        }
        let listening = builder.listen();
        let built = self.inner.build_instance(self.build.setup());
        drop(listening);
        drop(place);
        match built {
            Ok(mut built) => self.occupy(&builder, seat, built.as_mut()),
            Err(error) => WorkerExit::Cold(error.to_string()),
        }
    }

    /// Waits for a place for the next step of a new instance, or of that for a broken `seat`. Returns
    /// `None` if the instance is no longer needed.
    fn place(&self, step: BuildStep, seat: Option<SeatId>) -> Option<BuildPlace> {
        let Self { inner, build, .. } = *self;
        let is_cancelled = || match (seat, step) {
            (Some(_), _) => inner.has_stopped_repairs(),
            (None, BuildStep::Build) => !build.needs_more(),
            (None, BuildStep::Trial) => build.is_over(),
        };
        inner.places.take(inner.id(), step, &is_cancelled)
    }

    /// Ends an instance that is no longer needed before its next step.
    fn cancelled(&self, seat: Option<SeatId>) -> WorkerExit {
        if let Some(broken) = seat {
            self.inner.gate.remove(broken);
        }
        WorkerExit::Retired
    }

    /// Serves with one built instance. A panic outside of its runs breaks the instance, as one inside
    /// does. `seat` is the seat of the broken instance before it; it gets that of this one.
    fn occupy(
        &self,
        builder: &Builder,
        seat: &mut Option<SeatId>,
        built: &mut dyn Instance,
    ) -> WorkerExit {
        let mut entered = *seat;
        let serve = || self.serve_with(builder, &mut entered, built);
        let occupied = catch_unwind(AssertUnwindSafe(serve));
        *seat = entered;
        occupied.unwrap_or_else(|panic| match entered {
            // The request that it ran is answered and has broken the seat.
            Some(broken) if !self.inner.gate.suspend(broken) => WorkerExit::Broken(broken),
            _ => panicked(&*panic),
        })
    }

    /// Serves on the thread that the engine prefers, after a trial request on the cores for building.
    fn serve_with(
        &self,
        builder: &Builder,
        seat: &mut Option<SeatId>,
        built: &mut dyn Instance,
    ) -> WorkerExit {
        let Self { inner, build, instance } = *self;
        let outer = current_thread();
        let mut left = WorkerExit::Retired;
        let _joined = JoinedThreads { inner, instance };
        built.occupy(&mut |built| {
            let own = current_thread();
            let mut members = vec![Member { id: own, instance, helper: false }];
            let helpers = built.threads().into_iter().chain([outer]).filter(|id| *id != own);
            members.extend(helpers.map(|id| Member { id, instance, helper: true }));
            builder.add(&members.iter().map(|member| member.id).collect::<Vec<_>>());
            let Some(place) = self.place(BuildStep::Trial, *seat) else {
                left = self.cancelled(*seat);
                return;
            };
            if let Err(reason) = self.try_out(seat.is_none(), built) {
                left = WorkerExit::Cold(reason);
                return;
            }
            drop(place);
            builder.release_threads();
            let reasons = inner.threads.join(&members);
            if !reasons.is_empty() {
                inner.report(PoolEvent::PlacementMismatch { reasons });
            }
            let own_seat = if let Some(broken) = *seat {
                inner.gate.repair(broken);
                broken
            } else {
                let entered = inner.gate.enter(build.id().generation);
                *seat = Some(entered);
                build.ready(inner);
                // Reading files and rewriting graphs leaves free pages in the heap.
                request_trim();
                entered
            };
            left = serve(inner, own_seat, built);
        });
        left
    }

    /// Runs the trial request, so that the first real one finds a warm arena. For a new instance, also
    /// checks that the model is still within its memory budget.
    ///
    /// # Errors
    /// The reason why the instance cannot serve.
    fn try_out(&self, is_new: bool, built: &mut dyn Instance) -> Result<(), String> {
        let inner = self.inner;
        run_trial(inner, built)?;
        match inner.model() {
            Some(model) if is_new => inner.memory.fits(&*model).map_err(|error| error.to_string()),
            _ => Ok(()),
        }
    }
}
