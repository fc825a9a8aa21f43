//! Enforces one model's memory budget. Checks each request when it arrives, before it runs and
//! after it ran.
//!
//! The limit is soft. The memory that a request takes inside the engine is known only after its
//! run, so the first request that exceeds the limit does so while it runs. Only that request fails.
//! The engine frees the memory that it kept for it before the next run, and later requests of that
//! size or more are refused before they run. If several requests exceed the limit together, the largest of them run
//! again alone, one after another, and fewer requests of that size run at once from then on.
//!
//! Nothing here waits: a request that may not start yet waits in the gate (`memory_turn.rs`).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limited_runs::{LimitedRuns, RunVerdict};
use super::rejection::Rejection;
use super::shrink_pacer::ShrinkPacer;
use crate::engine::{EngineError, EngineMemory, Model, NamedTensor};
use crate::layout::Bytes;

/// No limit.
const NONE: u64 = u64::MAX;

/// A model's memory budget and the charges against it, in bytes.
pub(super) struct MemoryLimit {
    limit: AtomicU64,
    /// Held by the engine at its last report.
    engine: AtomicU64,
    /// The part of it that it cannot free: weights and graphs.
    fixed: AtomicU64,
    /// Prepared requests of the built-in load.
    prepared: AtomicU64,
    /// Inputs of waiting and running requests that only the pool holds.
    requests: Arc<AtomicU64>,
    /// Input bytes of the smallest request that exceeded the limit alone.
    too_large: AtomicU64,
    /// Rows that will share the loaded model, 1 or more.
    sharers: AtomicU32,
    /// Held by the engine after it last freed what it could while no request ran; [`NONE`] if that
    /// has not happened under this limit.
    shrunk_to: AtomicU64,
    /// The pace of attempts to free memory while the model is idle.
    pub(super) shrinks: ShrinkPacer,
    /// Requests that run now under a limit.
    runs: Mutex<LimitedRuns>,
}

/// The answer to a request that wants to run beside others.
pub(super) enum Start<'a> {
    /// It runs.
    Now(Running<'a>),
    /// It has to wait for requests that run or wait.
    Later,
    /// The model exceeds its budget now: the request has to run alone.
    Alone,
}

/// A request that runs under a limit. Dropping it without [`MemoryLimit::ran`] discards the
/// measurement.
pub(super) struct Running<'a> {
    limit: &'a MemoryLimit,
    id: u64,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.limit.runs().end(self.id);
    }
}

/// The memory charge for a request's inputs, until the request is answered.
pub(super) struct MemoryCharge {
    requests: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for MemoryCharge {
    fn drop(&mut self) {
        self.requests.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Returns the bytes of the tensors' elements.
pub fn tensor_bytes(tensors: &[NamedTensor]) -> u64 {
    tensors.iter().map(|named| named.tensor.bytes() as u64).sum()
}

impl MemoryLimit {
    /// Creates a budget without a limit and with no memory held.
    pub(super) fn new() -> Self {
        Self {
            limit: AtomicU64::new(NONE),
            engine: AtomicU64::new(0),
            fixed: AtomicU64::new(0),
            prepared: AtomicU64::new(0),
            requests: Arc::default(),
            too_large: AtomicU64::new(NONE),
            sharers: AtomicU32::new(1),
            shrunk_to: AtomicU64::new(NONE),
            shrinks: ShrinkPacer::default(),
            runs: Mutex::default(),
        }
    }

    fn runs(&self) -> MutexGuard<'_, LimitedRuns> {
        // no code panics while it holds this lock
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the limit, and forgets which requests were too large for the old one.
    pub(super) fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(NONE), Ordering::Release);
        self.too_large.store(NONE, Ordering::Release);
        self.shrunk_to.store(NONE, Ordering::Release);
        self.shrinks.reset();
        self.runs().forget_crowd();
    }

    /// Clears the memory counted for a removed model.
    pub(super) fn clear(&self) {
        self.engine.store(0, Ordering::Relaxed);
        self.fixed.store(0, Ordering::Relaxed);
        self.prepared.store(0, Ordering::Relaxed);
    }

    /// Returns the limit.
    pub(super) fn limit(&self) -> Option<u64> {
        let limit = self.limit.load(Ordering::Acquire);
        (limit != NONE).then_some(limit)
    }

    /// Sets the number of rows that will share the loaded model.
    pub(super) fn set_sharers(&self, rows: u32) {
        self.sharers.store(rows, Ordering::Relaxed);
    }

    /// Sets the size of the built-in load's prepared requests.
    pub(super) fn set_prepared(&self, bytes: u64) {
        self.prepared.store(bytes, Ordering::Relaxed);
    }

    /// Returns the size of the prepared requests.
    pub(super) fn prepared(&self) -> u64 {
        self.prepared.load(Ordering::Relaxed)
    }

    /// Charges the copy of a caller's request that is kept as the trial request, in place of the one
    /// before. Returns false if the model would exceed its limit; the charge stays as it was then.
    pub(super) fn charge_trial(&self, bytes: u64) -> bool {
        let others = self.used().saturating_sub(self.prepared());
        let has_room = self.limit().is_none_or(|limit| others.saturating_add(bytes) <= limit);
        if has_room {
            // A model of which requests are kept has no prepared ones.
            self.set_prepared(bytes);
        }
        has_room
    }

    /// Returns the input bytes of waiting and running requests that only the pool holds.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn used(&self) -> u64 {
        let engine = self.engine.load(Ordering::Relaxed);
        self.requests().saturating_add(engine).saturating_add(self.prepared())
    }

    /// Records and returns the memory that the engine holds now.
    pub(super) fn look(&self, model: &dyn Model) -> EngineMemory {
        let memory = model.memory();
        self.fixed.store(memory.weights.saturating_add(memory.graph), Ordering::Relaxed);
        self.engine.store(memory.total(), Ordering::Relaxed);
        memory
    }

    /// Returns the bytes that the engine would hold if no request ran and it freed what it can.
    fn least(&self) -> u64 {
        let engine = self.engine.load(Ordering::Relaxed);
        let fixed = self.fixed.load(Ordering::Relaxed);
        match self.shrunk_to.load(Ordering::Acquire) {
            NONE => fixed.min(engine),
            shrunk_to => fixed.max(shrunk_to).min(engine),
        }
    }

    /// Charges a request's inputs to the budget. Inputs that the caller holds too are not charged.
    ///
    /// Memory that running requests make the engine hold does not count here: the request waits for
    /// them. The engine is not asked, so a refusal costs no more than an acceptance; its last report is
    /// at most as old as the last snapshot or run.
    ///
    /// # Errors
    /// [`Rejection::OverBudget`] if they would not fit even if the request ran alone, or not beside the
    /// requests that wait.
    pub(super) fn admit(
        &self,
        inputs: &Arc<Vec<NamedTensor>>,
    ) -> Result<Option<MemoryCharge>, Rejection> {
        let bytes = if Arc::strong_count(inputs) > 1 { 0 } else { tensor_bytes(inputs) };
        let charge =
            || (bytes > 0).then(|| MemoryCharge { requests: Arc::clone(&self.requests), bytes });
        let limit = self.limit.load(Ordering::Acquire);
        if limit == NONE {
            // Nothing to compare with. The memory screen shows the inputs.
            if bytes > 0 {
                self.requests.fetch_add(bytes, Ordering::Relaxed);
            }
            return Ok(charge());
        }
        let held = self.least().saturating_add(self.prepared());
        // Compared and added in one step, so that requests that arrive at once do not exceed the limit
        // together.
        let room = |requests: u64| {
            let after = requests.saturating_add(bytes);
            (held.saturating_add(after) <= limit).then_some(after)
        };
        // Even a request that charges nothing is refused if the model alone exceeds its limit.
        self.requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .map_err(|_| Rejection::OverBudget)?;
        Ok(charge())
    }

    /// Starts this request beside those that run, if it may.
    ///
    /// # Errors
    /// [`EngineError::Memory`] if a request no larger than this one exceeded the budget alone.
    pub(super) fn start(
        &self,
        model: &dyn Model,
        inputs: &[NamedTensor],
    ) -> Result<Start<'_>, EngineError> {
        let bytes = tensor_bytes(inputs);
        let mut runs = self.runs();
        self.check_size(bytes)?;
        if self.limit().is_some() && !runs.may_start(bytes) {
            runs.refuse();
            return Ok(Start::Later);
        }
        if self.exceeded(model).is_some() {
            return Ok(Start::Alone);
        }
        Ok(Start::Now(self.push(&mut runs, model, bytes, false)))
    }

    /// Starts this request if no other runs. No other starts until it ends. Returns `None` if one runs.
    ///
    /// # Errors
    /// [`EngineError::Memory`] if the model exceeds its budget even after `shrink`, or if a request
    /// no larger than this one exceeded it alone.
    pub(super) fn start_alone(
        &self,
        model: &dyn Model,
        inputs: &[NamedTensor],
        shrink: impl FnOnce(),
    ) -> Result<Option<Running<'_>>, EngineError> {
        let bytes = tensor_bytes(inputs);
        let mut runs = self.runs();
        if !runs.may_start_alone() {
            runs.refuse();
            return Ok(None);
        }
        let running = self.push(&mut runs, model, bytes, true);
        // dropping `running` takes the lock
        drop(runs);
        if self.exceeded(model).is_some() && self.wants_to_shrink() {
            shrink();
        }
        if let Some(limit) = self.exceeded(model) {
            let reason = format!(
                "the model holds {} and may hold {}: raise `memory`, or wait until it holds less",
                size(self.used()),
                Bytes(limit)
            );
            return Err(EngineError::Memory { reason });
        }
        self.check_size(bytes)?;
        Ok(Some(running))
    }

    /// Records that a request waits to run alone, and returns the number of its wait.
    pub(super) fn wait_alone(&self) -> u64 {
        self.runs().wait_alone()
    }

    /// Ends a wait to run alone.
    pub(super) fn end_wait(&self, number: u64) {
        self.runs().end_wait(number);
    }

    /// Returns true, once, if the requests that were told to wait may try again.
    pub(super) fn take_release(&self) -> bool {
        self.runs().take_release()
    }

    #[cfg(test)]
    pub(super) fn may_start(&self, bytes: u64) -> bool {
        self.runs().may_start(bytes)
    }

    /// Returns the limit if the model holds more now.
    fn exceeded(&self, model: &dyn Model) -> Option<u64> {
        let limit = self.limit().filter(|limit| self.used() > *limit)?;
        // The engine may have freed memory since its last report.
        self.look(model);
        (self.used() > limit).then_some(limit)
    }

    fn check_size(&self, bytes: u64) -> Result<(), EngineError> {
        let large = self.too_large.load(Ordering::Acquire);
        let Some(limit) = self.limit().filter(|_| bytes >= large) else { return Ok(()) };
        let reason = format!(
            "a request of {} took the model above {}, so this one of {} is not run: send less at \
             once, or raise `memory`",
            size(large),
            Bytes(limit),
            size(bytes)
        );
        Err(EngineError::Memory { reason })
    }

    fn push(
        &self,
        runs: &mut LimitedRuns,
        model: &dyn Model,
        bytes: u64,
        alone: bool,
    ) -> Running<'_> {
        if runs.may_start_alone() {
            // discard the peak of earlier requests
            model.take_peak();
        }
        Running { limit: self, id: runs.start(bytes, alone) }
    }

    /// Checks the memory that a run took.
    ///
    /// # Errors
    /// [`EngineError::Memory`] if the request exceeded the budget alone.
    pub(super) fn ran(
        &self,
        running: &Running<'_>,
        model: &dyn Model,
    ) -> Result<RunVerdict, EngineError> {
        let Some(limit) = self.limit() else { return Ok(RunVerdict::Fits) };
        let now = self.look(model).total();
        let beside = self.used().saturating_sub(now);
        let mut runs = self.runs();
        let peak = model.take_peak().unwrap_or(0).max(now);
        let Some(run) = runs.record_peak(running.id, peak).copied() else {
            return Ok(RunVerdict::Fits);
        };
        let (bytes, together) = (run.bytes, run.together);
        let most = run.peak.saturating_add(beside);
        if most <= limit || run.beside.is_some_and(|larger| larger > bytes) {
            return Ok(RunVerdict::Fits);
        }
        if run.beside.is_some() {
            runs.learn(bytes, together);
            return Ok(RunVerdict::RunAlone);
        }
        self.too_large.fetch_min(bytes, Ordering::AcqRel);
        let reason = format!(
            "the run took the model to {} and it may hold {}: send less at once, lower the \
             concurrency, or raise `memory`",
            size(most),
            Bytes(limit)
        );
        Err(EngineError::Memory { reason })
    }

    /// Checks that a freshly loaded model, or one with a further instance, is within the budget.
    ///
    /// # Errors
    /// [`EngineError::Memory`] if it does not fit.
    pub(super) fn fits(&self, model: &dyn Model) -> Result<(), EngineError> {
        let memory = self.look(model);
        // Rows that are still loading will carry their share.
        let total = memory.total_shared_by(self.sharers.load(Ordering::Relaxed));
        let saved = memory.total().saturating_sub(total);
        match self.limit() {
            Some(limit)
                if self.used().saturating_sub(self.requests()).saturating_sub(saved) > limit =>
            {
                let reason =
                    format!("{}: raise `memory`, or use fewer threads", self.words(&memory, limit));
                Err(EngineError::Memory { reason })
            }
            _ => Ok(()),
        }
    }

    /// Lets the engine free memory that it does not need. A failed trial request is only logged:
    /// the next reading shows how much the engine holds.
    /// Without a trial request nothing can be freed.
    pub(super) fn shrink(&self, model: &dyn Model, trial: Option<&[NamedTensor]>) {
        if let Some(Err(error)) = trial.map(|trial| model.shrink(trial)) {
            tracing::warn!("a request that was to shrink an arena failed: {error}");
        }
        // The trial's peak must not count against the next request. Requests that run at the same
        // time lose nothing: the engine still holds their memory when they are checked.
        model.take_peak();
        let now = self.look(model).total();
        // With other requests running, it holds more than it must.
        if self.runs().are_alone() {
            self.shrunk_to.store(now, Ordering::Release);
        }
    }

    /// Returns true if the budget is exceeded and the engine may still free memory.
    pub(super) fn wants_to_shrink(&self) -> bool {
        let least = self.least();
        // Requests and results of the moment make the figure vary a little.
        let varies = least / 64;
        self.is_exceeded() && self.engine.load(Ordering::Relaxed) > least.saturating_add(varies)
    }

    /// Returns true if the model holds more than its limit, by the engine's last report.
    pub(super) fn is_exceeded(&self) -> bool {
        self.limit().is_some_and(|limit| self.used() > limit)
    }

    /// Returns the reason why the model is over its budget; `None` while it is not.
    pub(super) fn over(&self, memory: &EngineMemory) -> Option<String> {
        let limit = self.limit().filter(|limit| self.used() > *limit)?;
        Some(self.words(memory, limit))
    }

    fn words(&self, memory: &EngineMemory, limit: u64) -> String {
        let copies = if memory.copies == 1 { "copy" } else { "copies" };
        format!(
            "it holds {} and may hold {} (weights {} in {} {copies}{}, activations {}, requests {})",
            size(self.used()),
            Bytes(limit),
            size(memory.weights),
            memory.copies,
            match memory.graph {
                0 => String::new(),
                graph => format!(", graph about {}", size(graph)),
            },
            memory.arena.map_or_else(|| "not known".to_owned(), size),
            size(self.requests() + self.prepared()),
        )
    }
}

/// Formats a size for a message: rounded, whereas [`Bytes`] is exact.
fn size(bytes: u64) -> String {
    Bytes(bytes).rounded()
}
