//! A model's pool: its gate, its threads and its builds behind one handle.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::builds::{BuildOrder, Builds};
use super::event::Listener;
use super::gate::Gate;
use super::gate_state::Seats;
use super::infer::Client;
use super::inner::Inner;
use super::request::RequestSender;
use super::threads::{Member, Threads};
use crate::engine::{EngineError, EngineMemory, InstanceSetup, Model, NamedTensor};
use crate::layout::QueuePolicy;
use crate::machine::{CpuSet, Machine, current_thread};
use crate::telemetry::{Recorder, RequestCounts};

/// Sleeping instances that are kept, beyond the bound, for a quick return.
pub const PARKED_LIMIT: usize = 4;

/// What a model holds, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolMemory {
    /// In the engine.
    pub engine: EngineMemory,
    /// Inputs of requests that wait or run and that nobody else holds.
    pub requests: u64,
    /// The budget.
    pub limit: Option<u64>,
    /// What holds memory above the budget, in a sentence; `None` while it is kept.
    pub over: Option<String>,
}

/// One model's pool. Dropping it closes the gate and turns waiting requests away.
pub struct Pool {
    name: Mutex<String>,
    pub(super) inner: Arc<Inner>,
    builds: Mutex<Builds>,
}

impl Pool {
    /// An empty pool: it queues requests, but nothing takes them until a model is installed,
    /// instances are ensured and a bound is set.
    pub fn new(
        name: &str,
        machine: Arc<dyn Machine>,
        queue: QueuePolicy,
        mask: CpuSet,
        listener: Listener,
    ) -> Self {
        let gate = Gate::new(queue);
        let threads = Threads::new(machine.clone(), mask);
        Self {
            name: Mutex::new(name.to_owned()),
            inner: Arc::new(Inner::new(gate, threads, machine, listener)),
            builds: Mutex::new(Builds::default()),
        }
    }

    /// Renames the model. Only threads that start from now on get the new name.
    pub fn rename(&self, name: &str) {
        name.clone_into(&mut self.name.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn builds(&self) -> MutexGuard<'_, Builds> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the model that instances are built from, and the inputs of their trial request.
    pub fn install(&self, model: Arc<dyn Model>, warm_up: Arc<Vec<NamedTensor>>) {
        self.inner.set_model(model, warm_up);
    }

    /// Takes the model away again. Only before instances have been ensured.
    pub fn uninstall(&self) {
        self.inner.forget_model();
    }

    /// The installed model.
    pub fn model(&self) -> Option<Arc<dyn Model>> {
        self.inner.model()
    }

    /// The door for callers.
    pub fn sender(&self) -> Arc<dyn RequestSender> {
        self.inner.clone()
    }

    /// A door for callers that wait with `.await`.
    pub fn client(&self) -> Client {
        Client::new(self.inner.clone())
    }

    /// Allows every thread of the model on `mask` and reads it back. Returns a sentence for each
    /// thread where the kernel shows another mask.
    pub fn pin(&self, mask: CpuSet) -> Vec<String> {
        self.inner.threads.pin(mask)
    }

    /// A sentence for each thread that was where it should be and has been moved since by others.
    pub fn strays(&self) -> Vec<String> {
        self.inner.threads.strays()
    }

    /// Sets how its threads stand beside others on the cores that they share, as a nice value counted
    /// from the program's own, 0 to 19, and reads it back.
    ///
    /// # Errors
    /// A sentence for each thread that the kernel does not let rise; [`Pool::renew`] replaces them.
    pub fn set_nice(&self, nice: i32) -> Result<(), Vec<String>> {
        self.inner.threads.set_nice_values(nice)
    }

    /// The nice value that its threads are to have.
    pub fn nice(&self) -> i32 {
        self.inner.threads.nice()
    }

    /// Lets the next [`Pool::ensure`] build all instances anew, on new threads, beside those that
    /// serve. A batch that is on its way for a later generation is as good.
    pub fn renew(&self) {
        self.builds().mark_stale(self.inner.gate.seats().generation);
    }

    /// Whether the instances that serve are to be replaced by new ones of the same setup.
    pub fn is_renewing(&self) -> bool {
        self.builds().is_stale(self.inner.gate.seats().generation)
    }

    /// Takes [`Pool::renew`] back: what serves goes on to serve.
    pub fn keep(&self) {
        self.builds().clear_stale();
    }

    /// Sets how many requests may run at once; in force on return.
    pub fn set_bound(&self, bound: usize) {
        self.inner.gate.set_bound(bound);
    }

    /// Sets the queue's policy; in force on return.
    pub fn set_queue(&self, queue: QueuePolicy) {
        self.inner.gate.set_policy(queue);
    }

    /// Sets the memory that the model may hold, in bytes; in force for requests from now on. What
    /// it holds already goes when [`Pool::shrink`] is called.
    pub fn set_memory(&self, limit: Option<u64>) {
        self.inner.memory.set_limit(limit);
    }

    /// Sets the number of rows, this one included, that will share the loaded model. A fresh model is
    /// compared with the budget as if all of them had loaded it.
    pub fn set_sharers(&self, rows: usize) {
        self.inner.memory.set_sharers(u32::try_from(rows).unwrap_or(u32::MAX));
    }

    /// Sets what the prepared requests of the built-in load take, in bytes: they count too.
    pub fn set_prepared(&self, bytes: u64) {
        self.inner.memory.set_prepared(bytes);
    }

    /// Whether the loaded model keeps its memory budget.
    ///
    /// # Errors
    /// [`EngineError::Memory`] when it does not.
    pub fn fits(&self) -> Result<(), EngineError> {
        self.inner.model().map_or(Ok(()), |model| self.inner.memory.fits(&*model))
    }

    /// What the model holds now.
    pub fn memory(&self) -> PoolMemory {
        let memory = &self.inner.memory;
        let engine = self.inner.model().map(|model| memory.look(&*model)).unwrap_or_default();
        PoolMemory {
            engine,
            requests: memory.requests(),
            limit: memory.limit(),
            over: memory.over(&engine),
        }
    }

    /// Where the model is above its budget and idle: lets the engine give back what it does not
    /// need, on a thread of its own that runs where the model may. Returns whether it was begun.
    pub fn shrink(&self) -> bool {
        if !self.inner.memory.wants_to_shrink() || self.inner.gate.counts().executing > 0 {
            return false;
        }
        let inner = self.inner.clone();
        let shrink = move || {
            // Elsewhere it would take another model's core; a refusal costs no more than that.
            let _ = inner.machine.set_affinity(current_thread(), &inner.threads.mask());
            inner.shrink();
        };
        std::thread::Builder::new().name("divvy-shrink".to_owned()).spawn(shrink).is_ok()
    }

    /// Makes `count` instances of `setup` serve: builds the missing ones in the
    /// background, on threads that start on `building_on`. Another setup than the serving one starts a new generation, which takes over when
    /// all of it is warm; an older batch that is not done is given up. Returns true if instances are
    /// being built.
    pub fn ensure(&self, count: usize, setup: InstanceSetup, building_on: CpuSet) -> bool {
        let count = count.max(1);
        self.inner.gate.keep(count.saturating_add(PARKED_LIMIT));
        let name = self.name.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let order = BuildOrder { model: name, count, setup, building_on };
        self.builds().ensure(&self.inner, &order)
    }

    /// Returns the setup of the pending batch; without one, that of the serving instances.
    pub fn setup(&self) -> Option<InstanceSetup> {
        self.builds().setup(&self.inner)
    }

    /// Lets instances beyond `bound` plus [`PARKED_LIMIT`] go: sleeping ones now, busy ones when
    /// their request ends.
    pub fn release_parked(&self, bound: usize) {
        self.inner.gate.trim(bound + PARKED_LIMIT);
    }

    /// Instances of the newest batch that are ready, and in all, while it is being built.
    pub fn warming(&self) -> Option<(usize, usize)> {
        self.builds().progress()
    }

    /// Answers requests that have waited too long.
    pub fn expire(&self, now: Instant) {
        self.inner.expire(now);
    }

    /// Returns the longest wait of a request; `None` for no limit.
    pub fn queue_timeout(&self) -> Option<Duration> {
        self.inner.gate.queue_timeout()
    }

    /// Turns requests away, those that wait too, until it is called with `None`: nothing would ever
    /// answer them.
    pub fn refuse(&self, reason: Option<&'static str>) {
        self.inner.gate.refuse(reason);
        if let Some(reason) = reason {
            self.inner.reject_waiting(reason);
        }
    }

    /// Returns the number of requests per state.
    pub fn counts(&self) -> RequestCounts {
        self.inner.gate.counts()
    }

    /// Instances by what they do.
    pub fn seats(&self) -> Seats {
        self.inner.gate.seats()
    }

    /// The model's threads.
    pub fn members(&self) -> Vec<Member> {
        self.inner.threads.members()
    }

    /// The mask that the threads are to have.
    pub fn mask(&self) -> CpuSet {
        self.inner.threads.mask()
    }

    /// The latency windows.
    pub fn recorder(&self) -> &Recorder {
        &self.inner.recorder
    }

    /// Admits nothing more and answers what waits, for at most `patience`; what still waits then is
    /// rejected. Requests that run are always answered. Returns whether all instances have ended.
    pub fn drain(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        self.inner.gate.close();
        let can_drain = |seats: Seats| seats.bound > 0 && seats.any();
        while can_drain(self.seats()) && self.waiting() > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.inner.reject_waiting("the model is being removed");
        // A request that runs cannot be interrupted; give it as long again.
        let until = Instant::now() + patience;
        while !self.has_ended() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.has_ended()
    }

    /// Whether all instances have ended, those that were being built too.
    pub fn has_ended(&self) -> bool {
        self.builds().have_ended()
    }

    fn waiting(&self) -> u64 {
        let counts = self.inner.gate.counts();
        counts.queued + counts.blocked
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.inner.gate.close();
        self.inner.reject_waiting("the model is being removed");
    }
}
