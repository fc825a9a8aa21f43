//! A model's pool: its gate, its threads and its builds behind one handle.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::build_places::BuildPlaces;
use super::builders::Builder;
use super::builds::{BuildOrder, Builds};
use super::engine_threads::EngineThread;
use super::event::{BatchId, Listener};
use super::gate::Gate;
use super::gate_state::Seats;
use super::infer::Client;
use super::inner::Inner;
use super::load_turn::LoadTurn;
use super::recording::have_same_inputs;
use super::rejection::Rejection;
use super::request::RequestSender;
use super::threads::{Member, Threads};
use crate::engine::inputs::check_inputs;
use crate::engine::{EngineError, EngineMemory, InstanceSetup, Model, NamedTensor};
use crate::layout::QueuePolicy;
use crate::machine::{CpuSet, Machine, current_thread};
use crate::telemetry::{Recorder, RequestCounts};

/// Number of parked instances that are kept beyond the bound, for a quick return.
pub const PARKED_LIMIT: usize = 4;

/// The memory that a model holds, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolMemory {
    /// Held by the engine.
    pub engine: EngineMemory,
    /// Inputs of waiting and running requests that nobody else holds.
    pub requests: u64,
    /// The budget.
    pub limit: Option<u64>,
    /// The reason why the model is over its budget; `None` while it is not.
    pub over: Option<String>,
}

/// One model's pool. Dropping it closes the gate and rejects waiting requests.
pub struct Pool {
    name: Mutex<String>,
    pub(super) inner: Arc<Inner>,
    builds: Mutex<Builds>,
}

impl Pool {
    /// Returns an empty pool. It queues requests, but runs none until a model is installed, instances
    /// are ensured and a bound is set.
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

    /// Sets the places for loads, builds and trial requests, which several pools can share. Call it on a new
    /// pool; without it, the pool shares its places with no other.
    #[must_use]
    pub fn with_places(mut self, places: Arc<BuildPlaces>) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.places = places;
        }
        self
    }

    /// Renames the model. Only threads that start from now on get the new name.
    pub fn rename(&self, name: &str) {
        name.clone_into(&mut self.name.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn builds(&self) -> MutexGuard<'_, Builds> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the model that instances are built from, and the inputs of their trial request.
    pub fn install(&self, model: Arc<dyn Model>, trial: Arc<Vec<NamedTensor>>) {
        self.inner.set_model(model, trial);
    }

    /// Sets the model that instances are built from if no request is known that it runs, and the reason.
    /// Its instances serve without a trial, until a request of a caller has succeeded: the newest such
    /// request is the trial request from then on. `known` is one of the model before it, for the trial
    /// of its first instances; ignored if it does not fit the inputs of this model.
    pub fn install_untried(
        &self,
        model: Arc<dyn Model>,
        reason: &str,
        known: Option<Arc<Vec<NamedTensor>>>,
    ) {
        let fits = |request: &Arc<Vec<NamedTensor>>| {
            model.accepts_any_inputs() || check_inputs(model.signature(), request).is_ok()
        };
        let known = known.filter(fits);
        self.inner.set_untried_model(model, reason, known);
    }

    /// Returns why no request is known that the model runs; `None` if one is.
    pub fn untried(&self) -> Option<String> {
        self.inner.untried()
    }

    /// Returns the last good request of its callers, if these serve as the trial request.
    pub fn last_good_request(&self) -> Option<Arc<Vec<NamedTensor>>> {
        self.inner.trial.last_good()
    }

    /// Removes the model. Only valid before instances have been ensured.
    pub fn uninstall(&self) {
        self.inner.forget_model();
    }

    /// Returns the installed model.
    pub fn model(&self) -> Option<Arc<dyn Model>> {
        self.inner.model()
    }

    /// Returns the sender for the built-in load; callers use [`Pool::client`].
    pub fn sender(&self) -> Arc<dyn RequestSender> {
        self.inner.clone()
    }

    /// Returns true once a caller other than the built-in load has sent a request.
    pub fn has_callers(&self) -> bool {
        self.inner.has_callers.load(Ordering::Relaxed)
    }

    /// Returns a client for callers that wait with `.await`.
    pub fn client(&self) -> Client {
        Client::new(self.inner.clone())
    }

    /// Sets and verifies the CPU mask of every thread of the model. Returns one message per thread
    /// whose mask differs.
    pub fn pin(&self, mask: CpuSet) -> Vec<String> {
        self.inner.pin(mask)
    }

    /// Sets the CPUs on which the model is loaded and its instances are built, and moves the threads that
    /// do so now. Until it is called, these are the CPUs of the model's threads. Returns one message per
    /// thread whose mask differs.
    pub fn pin_builders(&self, cores: CpuSet) -> Vec<String> {
        self.inner.pin_builders(cores)
    }

    /// Returns the CPUs on which the model is loaded and its instances are built.
    pub fn builder_cores(&self) -> CpuSet {
        self.inner.builders.cores()
    }

    /// Returns the load of its model, for the thread that will run it. [`Pool::drain`] waits for its end.
    pub fn start_load(&self) -> LoadTurn {
        LoadTurn { builder: Builder::new(&self.inner), _thread: EngineThread::start() }
    }

    /// Returns one message per thread whose mask or nice value another program has changed.
    pub fn strays(&self) -> Vec<String> {
        self.inner.threads.strays()
    }

    /// Removes threads that have ended by themselves from the model's threads, so that no other thread
    /// that got the number of one is placed in its stead. Compares the start of each thread: not for the
    /// path of a change.
    pub fn forget_ended_threads(&self) {
        self.inner.threads.forget_ended();
    }

    /// Sets and verifies the nice value of the model's threads, 0 to 19, relative to the program's own.
    ///
    /// # Errors
    /// One message per thread whose nice value the kernel does not let decrease; [`Pool::renew`]
    /// replaces these threads.
    pub fn set_nice(&self, nice: i32) -> Result<(), Vec<String>> {
        self.inner.threads.set_nice_values(nice)
    }

    /// Returns the desired nice value of its threads.
    pub fn nice(&self) -> i32 {
        self.inner.threads.nice()
    }

    /// Makes the next [`Pool::ensure`] replace all instances, on new threads. A pending batch of a later
    /// generation replaces them too.
    pub fn renew(&self) {
        self.builds().mark_stale(self.inner.gate.seats().generation);
    }

    /// Returns true if the serving instances will be replaced by new ones of the same setup.
    pub fn is_renewing(&self) -> bool {
        self.builds().is_stale(self.inner.gate.seats().generation)
    }

    /// Cancels [`Pool::renew`]: the serving instances keep serving.
    pub fn keep(&self) {
        self.builds().clear_stale();
    }

    /// Sets the number of requests that may run at once; in force on return.
    pub fn set_bound(&self, bound: usize) {
        self.inner.gate.set_bound(bound);
    }

    /// Sets the queue's policy; in force on return.
    pub fn set_queue(&self, queue: QueuePolicy) {
        self.inner.gate.set_policy(queue);
    }

    /// Sets the model's memory budget in bytes; it applies to requests from now on. [`Pool::shrink`]
    /// frees memory that the model already holds.
    pub fn set_memory(&self, limit: Option<u64>) {
        self.inner.memory.set_limit(limit);
        self.inner.release_held();
    }

    /// Sets the number of rows, this one included, that will share the loaded model. A fresh model is
    /// compared with the budget as if all of them had loaded it.
    pub fn set_sharers(&self, rows: usize) {
        self.inner.memory.set_sharers(u32::try_from(rows).unwrap_or(u32::MAX));
    }

    /// Sets the size of the built-in load's prepared requests in bytes; they count towards the budget.
    pub fn set_prepared(&self, bytes: u64) {
        self.inner.memory.set_prepared(bytes);
    }

    /// Returns the size of the prepared requests, or of the request of a caller that is kept as the trial
    /// request, in bytes.
    pub fn prepared_bytes(&self) -> u64 {
        self.inner.memory.prepared()
    }

    /// Checks that the loaded model is within its memory budget.
    ///
    /// # Errors
    /// [`EngineError::Memory`] if it is not.
    pub fn fits(&self) -> Result<(), EngineError> {
        self.inner.model().map_or(Ok(()), |model| self.inner.memory.fits(&*model))
    }

    /// Returns the memory that the model holds.
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

    /// If the model is over its budget and idle, starts a thread on the model's cores in which the engine
    /// frees what it does not need. At most one runs at a time, and after one that did not help there is
    /// a pause. Returns true if the thread was started.
    pub fn shrink(&self) -> bool {
        let memory = &self.inner.memory;
        if !memory.wants_to_shrink()
            || self.inner.gate.counts().executing > 0
            || !memory.shrinks.reserve(Instant::now())
        {
            return false;
        }
        let (inner, running) = (self.inner.clone(), EngineThread::start());
        let shrink = move || {
            let _running = running;
            let turn = inner.memory.shrinks.turn();
            // On other cores it would disturb another model. If pinning fails, it does so this once.
            let _ = inner.machine.set_affinity(current_thread(), &inner.threads.mask());
            inner.shrink();
            turn.end(!inner.memory.is_exceeded());
        };
        let started = std::thread::Builder::new().name("divvy-shrink".to_owned()).spawn(shrink);
        if started.is_err() {
            drop(memory.shrinks.turn());
        }
        started.is_ok()
    }

    /// Makes the ordered instances serve: builds the missing ones in the background, on threads that run
    /// on the pool's cores for building (see [`Pool::pin_builders`]) until their instance is warm. A setup
    /// other than the serving one starts a new generation, which takes over when all of it is warm; an
    /// older pending batch is abandoned. Returns true if instances are being built.
    pub fn ensure(&self, count: usize, setup: InstanceSetup) -> bool {
        let count = count.max(1);
        self.inner.gate.keep(count.saturating_add(PARKED_LIMIT));
        let name = self.name.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let order = BuildOrder { model: name, count, setup };
        self.builds().ensure(&self.inner, &order)
    }

    /// Returns the setup of the pending batch; without one, that of the serving instances.
    pub fn setup(&self) -> Option<InstanceSetup> {
        self.builds().setup(&self.inner)
    }

    /// Retires instances beyond `bound` plus [`PARKED_LIMIT`]: sleeping ones now, busy ones after their
    /// request.
    pub fn release_parked(&self, bound: usize) {
        self.inner.gate.trim(bound.saturating_add(PARKED_LIMIT));
    }

    /// Returns the ready instances and all instances of the newest batch while it is being built.
    pub fn warming(&self) -> Option<(usize, usize)> {
        self.builds().progress()
    }

    /// Returns the number of the batch that is being built and its instances.
    pub fn batch(&self) -> Option<(u64, usize)> {
        self.builds().batch()
    }

    /// Returns true if no batch of builds newer than this one exists.
    pub fn is_newest(&self, id: BatchId) -> bool {
        self.builds().is_newest(id)
    }

    /// Answers requests whose time in the queue has run out.
    pub fn expire(&self, now: Instant) {
        self.inner.expire(now);
    }

    /// Returns the longest wait of a request; `None` for no limit.
    pub fn queue_timeout(&self) -> Option<Duration> {
        self.inner.gate.queue_timeout()
    }

    /// Goes on with the recording of a pool that this one replaces, if the requests of one model fit the other.
    pub fn continue_recording(&self, replaced: &Self) {
        if have_same_inputs(&self.inner.signature(), &replaced.inner.signature()) {
            self.inner.tap.join(&replaced.inner.tap);
        }
    }

    /// Rejects all requests, including waiting ones, until it is called with `None`. Used while no
    /// instance can answer them.
    pub fn refuse(&self, reason: Option<Rejection>) {
        self.inner.gate.refuse(reason);
        if let Some(reason) = reason {
            self.inner.reject_waiting(reason);
        }
    }

    /// Returns the number of requests per state.
    pub fn counts(&self) -> RequestCounts {
        self.inner.gate.counts()
    }

    /// Returns the number of instances per state.
    pub fn seats(&self) -> Seats {
        self.inner.gate.seats()
    }

    /// Returns the model's threads.
    pub fn members(&self) -> Vec<Member> {
        self.inner.threads.members()
    }

    /// Returns the desired CPU mask of the threads.
    pub fn mask(&self) -> CpuSet {
        self.inner.threads.mask()
    }

    /// Returns the latency windows.
    pub fn recorder(&self) -> &Recorder {
        &self.inner.recorder
    }
}
