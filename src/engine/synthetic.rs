//! An engine without models: instances that burn, sleep, fail or panic as told. The pool's tests,
//! and the benches that measure the pool and not a model, run on it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::{
    EngineError, EngineMemory, Instance, InstanceSetup, MemorySource, Model, NamedTensor, Signature,
};
use crate::machine::{ThreadId, current_thread};

/// What a synthetic model does, changeable while it runs.
#[derive(Debug, Default)]
pub struct Script {
    /// CPU time that a request burns, in nanoseconds.
    pub burn_ns: AtomicU64,
    /// Time that a request sleeps, in nanoseconds.
    pub sleep_ns: AtomicU64,
    /// Every so many requests one fails with an engine error; 0 for never.
    pub fail_every: AtomicU64,
    /// Every so many requests one panics; 0 for never.
    pub panic_every: AtomicU64,
    /// Time that building an instance takes, in nanoseconds.
    pub build_ns: AtomicU64,
    /// Whether building an instance fails.
    pub build_fails: AtomicBool,
    /// Whether building an instance panics.
    pub build_panics: AtomicBool,
    /// Instances of this many threads cannot be built.
    pub build_fails_at: AtomicUsize,
    /// Instances of this many threads wait while they are being built; all do at [`Script::ALL`].
    pub build_blocked: AtomicUsize,
    /// While it is set, a request that runs waits.
    pub run_blocked: AtomicBool,
    /// Bytes of weights that the model says it holds.
    pub weights: AtomicU64,
    /// Bytes that a request takes for each byte of its inputs, kept until the model shrinks.
    pub arena_per_byte: AtomicU64,
    /// Bytes kept for the largest request so far.
    pub arena: AtomicU64,
    /// How often the model was asked to shrink.
    pub shrunk: AtomicU64,
    /// Instances built so far.
    pub built: AtomicUsize,
    /// Requests run so far, trial requests included.
    pub runs: AtomicU64,
    running: AtomicUsize,
    most_running: AtomicUsize,
}

impl Script {
    /// Any number of threads.
    pub const ALL: usize = usize::MAX;

    /// Nothing fails, waits or takes time any more.
    pub fn heal(&self) {
        for every in [&self.fail_every, &self.panic_every, &self.build_ns, &self.sleep_ns] {
            every.store(0, Ordering::SeqCst);
        }
        for flag in [&self.build_fails, &self.build_panics, &self.run_blocked] {
            flag.store(false, Ordering::SeqCst);
        }
        for width in [&self.build_fails_at, &self.build_blocked] {
            width.store(0, Ordering::SeqCst);
        }
    }

    /// The most requests that ran at once since the last call.
    pub fn take_most_running(&self) -> usize {
        self.most_running.swap(self.running.load(Ordering::SeqCst), Ordering::SeqCst)
    }
}

/// A model that follows a script.
pub struct SyntheticModel {
    script: Arc<Script>,
    signature: Signature,
}

impl SyntheticModel {
    /// A model without inputs or outputs.
    pub fn new(script: Arc<Script>) -> Self {
        Self { script, signature: Signature::default() }
    }
}

impl Model for SyntheticModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn instance(&self, setup: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
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
        let helpers = (1..setup.threads).map(|_| Helper::start()).collect::<Result<_, _>>()?;
        Ok(Box::new(SyntheticInstance { script: self.script.clone(), helpers }))
    }

    fn memory(&self) -> EngineMemory {
        EngineMemory {
            gpu: None,
            weights: self.script.weights.load(Ordering::SeqCst),
            copies: 1,
            graph: 0,
            arena: Some(self.script.arena.load(Ordering::SeqCst)),
            untouched: 0,
            weights_source: MemorySource::Measured,
            arena_source: MemorySource::Measured,
            shared: None,
        }
    }

    fn shrink(&self, _trial: &[NamedTensor]) -> Result<(), EngineError> {
        self.script.shrunk.fetch_add(1, Ordering::SeqCst);
        self.script.arena.store(0, Ordering::SeqCst);
        Ok(())
    }
}

/// A model whose requests cost nothing at all: what is left is the pool's own cost.
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

/// A thread that stands for an intra-op thread: it is there to be placed, and sleeps.
struct Helper {
    id: ThreadId,
    _stop: mpsc::Sender<()>,
}

impl Helper {
    fn start() -> Result<Self, EngineError> {
        let (stop, stopped) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let started = std::thread::Builder::new().name("synthetic".to_owned()).spawn(move || {
            // Both fail only when the instance is gone, which is when this thread is to end.
            let _ = tell.send(current_thread());
            let _ = stopped.recv();
        });
        let unavailable = |reason: String| EngineError::Unavailable { reason };
        started.map_err(|error| unavailable(error.to_string()))?;
        let id = told.recv().map_err(|error| unavailable(error.to_string()))?;
        Ok(Self { id, _stop: stop })
    }
}

struct SyntheticInstance {
    script: Arc<Script>,
    helpers: Vec<Helper>,
}

/// Counts a request out again, also when it panics.
struct Running<'a>(&'a Script);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
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
        let _running = Running(script);
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
        while script.run_blocked.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if due(script.panic_every.load(Ordering::Relaxed)) {
            std::panic::resume_unwind(Box::new("the script says so"));
        }
        if due(script.fail_every.load(Ordering::Relaxed)) {
            let reason = "the script says so".to_owned();
            return Err(EngineError::Run { engine: "synthetic", reason: reason.into() });
        }
        Ok(Vec::new())
    }

    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send)) {
        body(self);
    }
}
