//! Where a model runs: admission, queue, instances, and the live resize of one model.
//!
//! A [`Pool`] owns the gate (`gate.rs`, the protocol), the model's threads (`threads.rs`) and its
//! batches of builds (`build.rs`). Cores and bounds change in microseconds; another width of the
//! instances is built beside the old ones, which serve on until the new ones are warm.

mod build;
mod gate;
mod gate_state;
mod infer;
mod inner;
mod memory;
#[cfg(test)]
mod memory_tests;
mod request;
mod sync;
#[cfg(test)]
mod tests;
mod threads;
mod worker;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::{EngineError, EngineMemory, InstanceSetup, Model, NamedTensor};
use crate::layout::{Overflow, QueuePolicy};
use crate::machine::{CpuSet, Machine, current_thread};
use crate::telemetry::{Counts, Recorder};

use build::Build;
use gate::Gate;
pub use gate_state::Seats;
pub use infer::{Client, Pending};
use inner::Inner;
pub use inner::Listener;
pub use memory::{NO_ROOM, tensor_bytes};
pub use request::{Door, Outcome, Reply, Request, RequestError};
pub use threads::Member;
use threads::Threads;
pub use worker::panic_message;

/// Sleeping instances that are kept, beyond the bound, for a quick return.
pub const PARKED_LIMIT: usize = 4;

/// A batch of instances that is warm and serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildReport {
    /// The gate's generation.
    pub generation: u64,
    /// How they were built.
    pub setup: InstanceSetup,
    /// From the order until all of them were warm.
    pub took: Duration,
}

/// What a pool tells its owner, from its own threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolEvent {
    /// A batch serves now.
    Built(BuildReport),
    /// A batch was given up; what served before serves on.
    BuildFailed {
        /// The gate's generation.
        generation: u64,
        /// How they were to be built.
        setup: InstanceSetup,
        /// Why.
        reason: String,
    },
    /// Threads that have joined are not where they should be, or do not stand as they should.
    Elsewhere {
        /// A sentence a thread.
        reasons: Vec<String>,
    },
    /// An instance broke and could not be built again.
    InstanceLost {
        /// Which.
        instance: usize,
        /// Why.
        reason: String,
    },
}

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
    inner: Arc<Inner>,
    builds: Mutex<Builds>,
    next_instance: AtomicUsize,
    next_generation: AtomicU64,
}

#[derive(Default)]
struct Builds {
    /// The setups of the serving generation and of later ones.
    setups: Vec<(u64, InstanceSetup)>,
    latest: Option<Arc<Build>>,
    /// The generation whose instances are to be replaced.
    stale: Option<u64>,
    workers: Vec<std::thread::JoinHandle<()>>,
}

impl Builds {
    /// The batch that is on its way.
    fn pending(&self) -> Option<Arc<Build>> {
        self.latest.as_ref().filter(|build| build.progress().is_some()).cloned()
    }
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
        let gate = Gate::new(queue.limit, queue.timeout, queue.overflow == Overflow::Block);
        let threads = Threads::new(machine.clone(), mask);
        Self {
            name: Mutex::new(name.to_owned()),
            inner: Arc::new(Inner::new(gate, threads, machine, listener)),
            builds: Mutex::new(Builds::default()),
            next_instance: AtomicUsize::new(0),
            next_generation: AtomicU64::new(1),
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
    pub fn door(&self) -> Arc<dyn Door> {
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
    pub fn weigh(&self, nice: i32) -> Result<(), Vec<String>> {
        self.inner.threads.weigh(nice)
    }

    /// The nice value that its threads are to have.
    pub fn nice(&self) -> i32 {
        self.inner.threads.nice()
    }

    /// Lets the next [`Pool::ensure`] build all instances anew, on new threads, beside those that
    /// serve. A batch that is on its way for a later generation is as good.
    pub fn renew(&self) {
        self.builds().stale = Some(self.inner.gate.seats().generation);
    }

    /// Whether the instances that serve are to be replaced by new ones of the same setup.
    pub fn is_renewing(&self) -> bool {
        self.builds().stale == Some(self.inner.gate.seats().generation)
    }

    /// Takes [`Pool::renew`] back: what serves goes on to serve.
    pub fn keep(&self) {
        self.builds().stale = None;
    }

    /// Sets how many requests may run at once; in force on return.
    pub fn set_bound(&self, bound: usize) {
        self.inner.gate.set_bound(bound);
    }

    /// Sets the queue's policy; in force on return.
    pub fn set_queue(&self, queue: QueuePolicy) {
        self.inner.gate.set_policy(queue.limit, queue.timeout, queue.overflow == Overflow::Block);
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
        if !self.inner.memory.wants_to_shrink() || self.inner.gate.tally().executing > 0 {
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

    /// Sees to it that `count` instances of `setup` will serve: builds what is missing in the
    /// background, on threads that start out on `building_on`. Another setup than the serving one
    /// starts a new generation, which takes over when all of it is warm; an older batch that is not
    /// done is given up. Returns whether something is being built.
    pub fn ensure(&self, count: usize, setup: InstanceSetup, building_on: CpuSet) -> bool {
        let count = count.max(1);
        self.inner.gate.keep(count.saturating_add(PARKED_LIMIT));
        let mut builds = self.builds();
        builds.workers.retain(|worker| !worker.is_finished());
        let mut pending = builds.pending();
        if let Some(build) = pending.take_if(|build| build.setup() != setup) {
            build.supersede(&self.inner);
        }
        if let Some(build) = pending {
            let (ready, total) = build.progress().unwrap_or_default();
            let seats = self.inner.gate.seats();
            let have = if build.generation() == seats.generation {
                seats.serving + seats.mending + total.saturating_sub(ready)
            } else {
                total
            };
            let missing = count.saturating_sub(have);
            if build.extend(missing) {
                self.start_workers(&mut builds, &build, missing, building_on);
                return true;
            }
            // The last of it became ready at this instant: it serves.
        }
        let seats = self.inner.gate.seats();
        builds.setups.retain(|(generation, _)| *generation >= seats.generation);
        let serves = builds.setups.contains(&(seats.generation, setup))
            && builds.stale != Some(seats.generation);
        let (generation, have) = if serves {
            (seats.generation, seats.serving + seats.mending)
        } else {
            (self.next_generation.fetch_add(1, Ordering::Relaxed), 0)
        };
        let missing = count.saturating_sub(have);
        if missing == 0 {
            return false;
        }
        let build = Arc::new(Build::new(generation, setup, missing));
        builds.setups.push((generation, setup));
        builds.setups.dedup();
        builds.latest = Some(build.clone());
        self.start_workers(&mut builds, &build, missing, building_on);
        true
    }

    fn start_workers(
        &self,
        builds: &mut Builds,
        build: &Arc<Build>,
        count: usize,
        building_on: CpuSet,
    ) {
        for _ in 0..count {
            match self.start_worker(build, building_on) {
                Ok(worker) => builds.workers.push(worker),
                Err(error) => build.fail(&self.inner, format!("cannot start a thread: {error}")),
            }
        }
    }

    fn start_worker(
        &self,
        build: &Arc<Build>,
        building_on: CpuSet,
    ) -> std::io::Result<std::thread::JoinHandle<()>> {
        let instance = self.next_instance.fetch_add(1, Ordering::Relaxed);
        let (inner, build) = (self.inner.clone(), build.clone());
        let name = self.name.lock().unwrap_or_else(PoisonError::into_inner).clone();
        std::thread::Builder::new()
            .name(thread_name(&name, instance))
            .spawn(move || worker::work(&inner, &build, instance, building_on))
    }

    /// The setup that is on its way to serve, or serves.
    pub fn setup(&self) -> Option<InstanceSetup> {
        let builds = self.builds();
        builds.pending().map(|build| build.setup()).or_else(|| {
            let serving = self.inner.gate.seats().generation;
            builds
                .setups
                .iter()
                .find(|(generation, _)| *generation == serving)
                .map(|(_, setup)| *setup)
        })
    }

    /// Lets instances beyond `bound` plus [`PARKED_LIMIT`] go: sleeping ones now, busy ones when
    /// their request ends.
    pub fn release_parked(&self, bound: usize) {
        self.inner.gate.trim(bound + PARKED_LIMIT);
    }

    /// Instances of the newest batch that are ready, and in all, while it is being built.
    pub fn warming(&self) -> Option<(usize, usize)> {
        self.builds().latest.as_ref().and_then(|build| build.progress())
    }

    /// Answers requests that have waited too long.
    pub fn expire(&self, now: Instant) {
        self.inner.expire(now);
    }

    /// Turns requests away, those that wait too, until it is called with `None`: nothing would ever
    /// answer them.
    pub fn refuse(&self, reason: Option<&'static str>) {
        self.inner.gate.refuse(reason);
        if let Some(reason) = reason {
            self.inner.reject_waiting(reason);
        }
    }

    /// Requests by state.
    pub fn counts(&self) -> Counts {
        let tally = self.inner.gate.tally();
        Counts {
            submitted: tally.submitted,
            blocked: tally.blocked,
            queued: tally.queued,
            executing: tally.executing,
            completed: tally.completed,
            rejected: tally.rejected,
            timed_out: tally.timed_out,
            cancelled: tally.cancelled,
            failed: tally.failed,
        }
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
        let mut builds = self.builds();
        builds.workers.retain(|worker| !worker.is_finished());
        builds.workers.is_empty()
    }

    fn waiting(&self) -> u64 {
        let tally = self.inner.gate.tally();
        tally.queued + tally.blocked
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.inner.gate.close();
        self.inner.reject_waiting("the model is being removed");
    }
}

/// The kernel keeps 15 bytes of a thread's name.
fn thread_name(model: &str, instance: usize) -> String {
    let suffix = format!("/{instance}");
    let mut name = String::new();
    for letter in model.chars().filter(|letter| *letter != '\0') {
        if name.len() + letter.len_utf8() + suffix.len() > 15 {
            break;
        }
        name.push(letter);
    }
    name + &suffix
}
