//! An engine without real models: its instances use CPU time, sleep, fail or panic as a script
//! says. Used by the pool's tests, and by benchmarks that measure the pool instead of a model.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::{
    EngineError, EngineMemory, Instance, InstanceSetup, MemorySource, Model, NamedTensor, Signature,
};
use crate::machine::{ThreadId, ThreadStarts, current_thread};

/// The behaviour of a synthetic model. It can be changed while the model runs.
#[derive(Debug, Default)]
pub struct Script {
    /// CPU time of a request, in nanoseconds.
    pub burn_ns: AtomicU64,
    /// Sleep of a request, in nanoseconds.
    pub sleep_ns: AtomicU64,
    /// One request out of this many fails with an engine error; 0 for never.
    pub fail_every: AtomicU64,
    /// True if requests with inputs fail with an engine error; the trial request has none.
    pub inputs_fail: AtomicBool,
    /// One request out of this many panics; 0 for never.
    pub panic_every: AtomicU64,
    /// Time that building an instance takes, in nanoseconds.
    pub build_ns: AtomicU64,
    /// True if building an instance fails.
    pub build_fails: AtomicBool,
    /// True if building an instance panics.
    pub build_panics: AtomicBool,
    /// Building an instance with this many threads fails.
    pub build_fails_at: AtomicUsize,
    /// Building an instance with this many threads waits; with [`Script::ALL`], every build does.
    pub build_blocked: AtomicUsize,
    /// True while running requests must wait.
    pub run_blocked: AtomicBool,
    /// Bytes of inputs from which [`Script::run_blocked`] applies to a request.
    pub run_blocked_from: AtomicUsize,
    /// Bytes of weights that the model reports.
    pub weights: AtomicU64,
    /// Bytes that a request allocates per byte of its inputs; kept until the model shrinks.
    pub arena_per_byte: AtomicU64,
    /// Bytes kept for the largest request so far.
    pub arena: AtomicU64,
    /// Number of calls of `shrink` that have ended.
    pub shrunk: AtomicU64,
    /// True while calls of `shrink` must wait.
    pub shrink_blocked: AtomicBool,
    /// Bytes that `shrink` cannot free.
    pub arena_kept: AtomicU64,
    /// Number of calls of `memory`.
    pub reports: AtomicU64,
    /// Instances built so far.
    pub built: AtomicUsize,
    /// Requests run so far, trial requests included.
    pub runs: AtomicU64,
    running: AtomicUsize,
    most_running: AtomicUsize,
    building: AtomicUsize,
    most_building: AtomicUsize,
}

impl Script {
    /// Stands for any number of threads.
    pub const ALL: usize = usize::MAX;

    /// Resets the script: nothing fails, waits or takes time any more.
    pub fn heal(&self) {
        for every in [&self.fail_every, &self.panic_every, &self.build_ns, &self.sleep_ns] {
            every.store(0, Ordering::SeqCst);
        }
        for flag in [&self.build_fails, &self.build_panics, &self.run_blocked, &self.inputs_fail] {
            flag.store(false, Ordering::SeqCst);
        }
        for width in [&self.build_fails_at, &self.build_blocked] {
            width.store(0, Ordering::SeqCst);
        }
    }

    /// Returns the maximum number of concurrent requests since the last call.
    pub fn take_most_running(&self) -> usize {
        self.most_running.swap(self.running.load(Ordering::SeqCst), Ordering::SeqCst)
    }

    /// Returns the number of instances that are being built, and the maximum so far.
    pub fn builds(&self) -> (usize, usize) {
        (self.building.load(Ordering::SeqCst), self.most_building.load(Ordering::SeqCst))
    }
}

/// A model that follows a script.
pub struct SyntheticModel {
    script: Arc<Script>,
    signature: Signature,
}

impl SyntheticModel {
    /// Creates a model without inputs or outputs.
    pub fn new(script: Arc<Script>) -> Self {
        Self { script, signature: Signature::default() }
    }
}

impl Model for SyntheticModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn accepts_any_inputs(&self) -> bool {
        true
    }

    fn instance(&self, setup: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
        let building = self.script.building.fetch_add(1, Ordering::SeqCst) + 1;
        self.script.most_building.fetch_max(building, Ordering::SeqCst);
        let _building = Decrement(&self.script.building);
        // Real engines have their threads before they read the weights.
        let helpers = (1..setup.threads).map(|_| Helper::start()).collect::<Result<_, _>>()?;
        std::thread::sleep(Duration::from_nanos(self.script.build_ns.load(Ordering::Relaxed)));
        let blocked = || self.script.build_blocked.load(Ordering::SeqCst);
        while [setup.threads, Script::ALL].contains(&blocked()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.script.build_panics.load(Ordering::SeqCst) {
            std::panic::resume_unwind(Box::new("the script says so"));
        }
        let fails_at = self.script.build_fails_at.load(Ordering::SeqCst);
        if self.script.build_fails.load(Ordering::Relaxed) || fails_at == setup.threads {
            return Err(EngineError::Unavailable { reason: "the script says so".to_owned() });
        }
        self.script.built.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(SyntheticInstance { script: self.script.clone(), helpers }))
    }

    fn memory(&self) -> EngineMemory {
        self.script.reports.fetch_add(1, Ordering::SeqCst);
        EngineMemory {
            weights: self.script.weights.load(Ordering::SeqCst),
            copies: 1,
            arena: Some(self.script.arena.load(Ordering::SeqCst)),
            weights_source: MemorySource::Measured,
            arena_source: MemorySource::Measured,
            ..EngineMemory::default()
        }
    }

    fn shrink(&self, _trial: &[NamedTensor]) -> Result<(), EngineError> {
        while self.script.shrink_blocked.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.script.arena.store(self.script.arena_kept.load(Ordering::SeqCst), Ordering::SeqCst);
        self.script.shrunk.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A model whose requests do nothing, to measure the cost of the pool alone.
#[derive(Debug, Default)]
pub struct NoopModel {
    signature: Signature,
}

struct NoopInstance;

impl Model for NoopModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn instance(&self, _: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
        Ok(Box::new(NoopInstance))
    }

    fn memory(&self) -> EngineMemory {
        EngineMemory::default()
    }
}

impl Instance for NoopInstance {
    fn threads(&self) -> Vec<ThreadId> {
        Vec::new()
    }

    fn run(&mut self, _: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError> {
        Ok(Vec::new())
    }

    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send)) {
        body(self);
    }
}

/// A sleeping thread in place of an intra-op thread, so that the pool has one to pin.
struct Helper {
    id: ThreadId,
    _stop: mpsc::Sender<()>,
}

impl Helper {
    fn start() -> Result<Self, EngineError> {
        let (stop, stopped) = mpsc::channel::<()>();
        let (id_sender, id_receiver) = mpsc::channel();
        let starts = ThreadStarts::of_this_thread();
        let started = std::thread::Builder::new().name("synthetic".to_owned()).spawn(move || {
            let own = current_thread();
            let _started = starts.begin(own);
            // Both fail only if the instance was dropped; then this thread ends.
            let _ = id_sender.send(own);
            let _ = stopped.recv();
        });
        let unavailable = |reason: String| EngineError::Unavailable { reason };
        started.map_err(|error| unavailable(error.to_string()))?;
        let id = id_receiver.recv().map_err(|error| unavailable(error.to_string()))?;
        Ok(Self { id, _stop: stop })
    }
}

struct SyntheticInstance {
    script: Arc<Script>,
    helpers: Vec<Helper>,
}

/// Decrements a number on drop, also after a panic.
struct Decrement<'a>(&'a AtomicUsize);

impl Drop for Decrement<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Instance for SyntheticInstance {
    fn threads(&self) -> Vec<ThreadId> {
        self.helpers.iter().map(|helper| helper.id).collect()
    }

    fn run(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError> {
        let script = &*self.script;
        let bytes: usize = inputs.iter().map(|named| named.tensor.bytes()).sum();
        let arena = bytes as u64 * script.arena_per_byte.load(Ordering::SeqCst);
        script.arena.fetch_max(arena, Ordering::SeqCst);
        let running = script.running.fetch_add(1, Ordering::SeqCst) + 1;
        script.most_running.fetch_max(running, Ordering::SeqCst);
        let _running = Decrement(&script.running);
        let number = script.runs.fetch_add(1, Ordering::Relaxed) + 1;
        let due = |every: u64| every != 0 && number.is_multiple_of(every);
        let burn = script.burn_ns.load(Ordering::Relaxed);
        if burn > 0 {
            let until = Instant::now() + Duration::from_nanos(burn);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        }
        let sleep = script.sleep_ns.load(Ordering::Relaxed);
        if sleep > 0 {
            std::thread::sleep(Duration::from_nanos(sleep));
        }
        let is_blocked = |script: &Script| {
            script.run_blocked.load(Ordering::SeqCst)
                && bytes >= script.run_blocked_from.load(Ordering::SeqCst)
        };
        while is_blocked(script) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if due(script.panic_every.load(Ordering::Relaxed)) {
            std::panic::resume_unwind(Box::new("the script says so"));
        }
        let is_wrong = !inputs.is_empty() && script.inputs_fail.load(Ordering::Relaxed);
        if is_wrong || due(script.fail_every.load(Ordering::Relaxed)) {
            let reason = "the script says so".to_owned();
            return Err(EngineError::Run { engine: "synthetic", reason: reason.into() });
        }
        Ok(Vec::new())
    }

    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send)) {
        body(self);
    }
}
