//! Runs taken requests within the memory budget. A request that may not start yet goes back to the gate and
//! leaves its instance to others.

use std::sync::{Arc, Weak};

use super::inner::Inner;
use super::limited_runs::RunVerdict;
use super::memory::{Running, Start};
use super::request::RequestError;
use super::serve::run;
use super::taken_job::RunResult;
use crate::engine::{Instance, Model, NamedTensor};

/// The wait of a request to run alone, until it runs or is answered. Other requests make way for it.
pub(super) struct AloneWait {
    pool: Weak<Inner>,
    number: u64,
}

impl AloneWait {
    fn new(pool: &Arc<Inner>) -> Self {
        Self { pool: Arc::downgrade(pool), number: pool.memory.wait_alone() }
    }
}

impl Drop for AloneWait {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.memory.end_wait(self.number);
            pool.release_held();
        }
    }
}

/// The result of an attempt to run a request.
pub(super) enum Attempt {
    /// It has run, or must not run.
    Ended(RunResult),
    /// It has to wait for others.
    Wait(HoldOrder),
}

/// The gate is to hold a request.
pub(super) struct HoldOrder {
    /// The releases before the decision.
    pub(super) releases: u64,
    /// True if it ran, exceeded the budget together with others, and has to run again.
    pub(super) has_run: bool,
}

/// Lets held requests try again when a request under a limit has ended, even by a panic.
struct ReleaseOnDrop<'a>(&'a Inner);

impl Drop for ReleaseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.release_held();
    }
}

/// Runs a request within the memory budget. If it exceeds the budget together with others, it runs again
/// alone; if it exceeds it alone, it fails. `alone` is its wait to run alone.
pub(super) fn run_within_budget(
    inner: &Arc<Inner>,
    built: &mut dyn Instance,
    inputs: &[NamedTensor],
    alone: &mut Option<AloneWait>,
) -> Attempt {
    let limited = inner.memory.limit().and_then(|_| inner.model());
    let Some(model) = limited else { return Attempt::Ended(run(built, inputs)) };
    let attempt = LimitedAttempt { inner, model: &*model, inputs };
    attempt.run(built, alone).unwrap_or_else(|error| Attempt::Ended(Err(error)))
}

/// A request under a limit.
struct LimitedAttempt<'a> {
    inner: &'a Arc<Inner>,
    model: &'a dyn Model,
    inputs: &'a [NamedTensor],
}

impl LimitedAttempt<'_> {
    fn run(
        &self,
        built: &mut dyn Instance,
        alone: &mut Option<AloneWait>,
    ) -> Result<Attempt, RequestError> {
        let Self { inner, model, inputs } = *self;
        let mut order = HoldOrder { releases: inner.gate.releases(), has_run: false };
        let _release = ReleaseOnDrop(inner);
        if alone.is_none() {
            match inner.memory.start(model, inputs)? {
                Start::Later => return Ok(Attempt::Wait(order)),
                Start::Alone => {}
                Start::Now(running) => {
                    if let Some(result) = self.check(&running, run(built, inputs)?)? {
                        return Ok(Attempt::Ended(Ok(result)));
                    }
                    order.has_run = true;
                }
            }
        }
        let Some(running) = inner.memory.start_alone(model, inputs, || inner.shrink())? else {
            alone.get_or_insert_with(|| AloneWait::new(inner));
            return Ok(Attempt::Wait(order));
        };
        *alone = None;
        let result = run(built, inputs)?;
        // A request that ran alone fits or has failed.
        Ok(Attempt::Ended(Ok(self.check(&running, result)?.unwrap_or_default())))
    }

    /// Returns the result if the run was within the budget; `None` if the request must run again alone.
    ///
    /// The engine frees its memory before the next run that needs room, or once the model is idle: this
    /// request's caller does not wait for that.
    fn check(
        &self,
        running: &Running<'_>,
        result: Vec<NamedTensor>,
    ) -> Result<Option<Vec<NamedTensor>>, RequestError> {
        let verdict = self.inner.memory.ran(running, self.model)?;
        Ok((verdict == RunVerdict::Fits).then_some(result))
    }
}
