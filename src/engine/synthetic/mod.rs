//! A stand-in engine for tests and benches of the pool: requests that do nothing, spin for a given
//! CPU time or sleep, and that fail or panic on demand. No model file is read.

mod gate;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{
    Dim, ElementType, Engine, EngineCapabilities, EngineError, EngineKind, EngineMemory, Instance,
    InstanceSetup, Model, NamedTensor, Signature, Tensor, TensorData, TensorSpec,
};
use crate::layout::ModelSource;
use crate::machine::{ThreadId, current_thread};

pub use gate::{Gate, Gated};

/// The engine's name in messages.
const NAME: &str = "the synthetic engine";

/// The value of the input `x` that makes a request fail.
pub const FAIL: i64 = -1;
/// The value of the input `x` that makes a request panic.
pub const PANIC: i64 = -2;

/// What a request does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Work {
    /// Nothing.
    #[default]
    Nothing,
    /// Computes until the thread has had this much CPU time (wall time where the system has no
    /// clock for it).
    Spin(Duration),
    /// Sleeps.
    Sleep(Duration),
}

/// What the engine is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// What a request does.
    pub work: Work,
    /// Every nth request of the model fails; 0 for none.
    pub fail_every: u64,
    /// Every nth request of the model panics; 0 for none.
    pub panic_every: u64,
    /// How long the loading of a model takes.
    pub load_delay: Duration,
    /// How long the building of an instance takes.
    pub build_delay: Duration,
    /// Every nth build of an instance fails; 0 for none.
    pub build_fail_every: u64,
    /// Builds wider than this many threads fail; 0 for no limit.
    pub widest: usize,
    /// Whether an instance of several threads has helper threads (which sleep).
    pub helpers: bool,
}

/// What the engine's models did, for tests to count.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that were begun.
    pub runs: AtomicU64,
    /// Requests that are in a `run` now.
    pub running: AtomicU32,
    /// The most requests that ever were in a `run` at once.
    pub most_running: AtomicU32,
    /// Builds of instances that were begun.
    pub builds: AtomicU64,
    /// Instances that exist now.
    pub instances: AtomicU32,
}

/// The engine. Its models take one int64 `x` of any length and give it back as `y`; see [`FAIL`]
/// and [`PANIC`].
#[derive(Clone, Debug, Default)]
pub struct Synthetic {
    script: Script,
    tally: Arc<Tally>,
}

impl Synthetic {
    /// An engine that follows the script.
    pub fn new(script: Script) -> Self {
        Self { script, tally: Arc::default() }
    }

    /// What all of its models did so far.
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// A request with this value of `x`.
    pub fn request(x: i64) -> Vec<NamedTensor> {
        Tensor::new(vec![1], TensorData::I64(vec![x]))
            .map(|tensor| NamedTensor { name: "x".to_owned(), tensor })
            .into_iter()
            .collect()
    }
}

impl Engine for Synthetic {
    fn kind(&self) -> EngineKind {
        EngineKind::Synthetic
    }

    fn title(&self) -> String {
        "synthetic".to_owned()
    }

    fn capabilities(&self) -> EngineCapabilities {
        EngineCapabilities {
            shared_weights: true,
            shared_weights_wide: true,
            live_threads: false,
            cancel: false,
            elements: vec![ElementType::I64],
        }
    }

    fn load(&self, _source: &ModelSource) -> Result<Arc<dyn Model>, EngineError> {
        thread::sleep(self.script.load_delay);
        let spec = |name: &str| TensorSpec {
            name: name.to_owned(),
            element: ElementType::I64,
            dims: Some(vec![Dim::Named("n".to_owned())]),
        };
        Ok(Arc::new(SyntheticModel {
            script: self.script.clone(),
            tally: Arc::clone(&self.tally),
            signature: Signature { inputs: vec![spec("x")], outputs: vec![spec("y")] },
        }))
    }
}

struct SyntheticModel {
    script: Script,
    tally: Arc<Tally>,
    signature: Signature,
}

/// Whether this is an nth one; `n` 0 means never.
fn is_nth(count: u64, n: u64) -> bool {
    n != 0 && count.is_multiple_of(n)
}

impl Model for SyntheticModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn instance(&self, setup: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
        let build = self.tally.builds.fetch_add(1, Ordering::SeqCst) + 1;
        thread::sleep(self.script.build_delay);
        let too_wide = self.script.widest != 0 && setup.threads > self.script.widest;
        if too_wide || is_nth(build, self.script.build_fail_every) {
            return Err(EngineError::Load {
                engine: NAME,
                path: "synthetic".to_owned(),
                reason: format!("build {build} of {} threads fails by the script", setup.threads),
            });
        }
        let helpers = if self.script.helpers { setup.threads.saturating_sub(1) } else { 0 };
        let helpers = Helpers::start(helpers)?;
        self.tally.instances.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(SyntheticInstance {
            script: self.script.clone(),
            tally: Arc::clone(&self.tally),
            helpers,
        }))
    }

    fn memory(&self) -> EngineMemory {
        EngineMemory { weights: 0, copies: 1, arena: Some(0) }
    }
}

struct SyntheticInstance {
    script: Script,
    tally: Arc<Tally>,
    helpers: Helpers,
}

impl Drop for SyntheticInstance {
    fn drop(&mut self) {
        self.tally.instances.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Counts a request in and, whatever becomes of it, out.
struct Running<'a>(&'a Tally);

impl<'a> Running<'a> {
    fn enter(tally: &'a Tally) -> Self {
        let now = tally.running.fetch_add(1, Ordering::SeqCst) + 1;
        tally.most_running.fetch_max(now, Ordering::SeqCst);
        Self(tally)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Instance for SyntheticInstance {
    fn threads(&self) -> Vec<ThreadId> {
        self.helpers.ids.clone()
    }

    fn run(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError> {
        let run = self.tally.runs.fetch_add(1, Ordering::SeqCst) + 1;
        let _running = Running::enter(&self.tally);
        let tensor = match inputs {
            [NamedTensor { name, tensor }] if name == "x" => tensor,
            _ => {
                return Err(EngineError::Input {
                    input: "x".to_owned(),
                    reason: "it is missing, or not the only one".to_owned(),
                });
            }
        };
        let first = match tensor.data() {
            TensorData::I64(values) => values.first().copied(),
            _ => None,
        };
        match self.script.work {
            Work::Nothing => {}
            Work::Spin(time) => spin(time),
            Work::Sleep(time) => thread::sleep(time),
        }
        if first == Some(PANIC) || is_nth(run, self.script.panic_every) {
            // a panic without the hook's print: tests cause thousands of them
            std::panic::resume_unwind(Box::new(format!("request {run} panics by the script")));
        }
        if first == Some(FAIL) || is_nth(run, self.script.fail_every) {
            let reason = format!("request {run} fails by the script");
            return Err(EngineError::Run { engine: NAME, reason });
        }
        Ok(vec![NamedTensor { name: "y".to_owned(), tensor: tensor.clone() }])
    }

    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send)) {
        body(self);
    }
}

fn spin(time: Duration) {
    let start = thread_time();
    while thread_time().saturating_sub(start) < time {
        // asking costs more than a turn: ask now and then
        for _ in 0..200 {
            std::hint::spin_loop();
        }
    }
}

/// CPU time of the calling thread.
#[cfg(unix)]
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Time since the first call, in place of CPU time.
#[cfg(not(unix))]
fn thread_time() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Threads that sleep until they are let go.
struct Helpers {
    ids: Vec<ThreadId>,
    gate: Arc<(Mutex<bool>, Condvar)>,
    threads: Vec<JoinHandle<()>>,
}

impl Helpers {
    fn start(count: usize) -> Result<Self, EngineError> {
        let gate: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let mut helpers = Self { ids: Vec::new(), gate, threads: Vec::new() };
        for _ in 0..count {
            let gate = Arc::clone(&helpers.gate);
            let (sender, receiver) = std::sync::mpsc::sync_channel(1);
            let spawned =
                thread::Builder::new().name("synthetic-helper".to_owned()).spawn(move || {
                    let _ = sender.send(current_thread());
                    let mut open = gate.0.lock().unwrap_or_else(PoisonError::into_inner);
                    while !*open {
                        open = gate.1.wait(open).unwrap_or_else(PoisonError::into_inner);
                    }
                });
            let fault = |reason: String| EngineError::Load {
                engine: NAME,
                path: "synthetic".to_owned(),
                reason,
            };
            helpers.threads.push(spawned.map_err(|error| fault(error.to_string()))?);
            helpers.ids.push(receiver.recv().map_err(|error| fault(error.to_string()))?);
        }
        Ok(helpers)
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        *self.gate.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.gate.1.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn model(script: Script) -> (Synthetic, Arc<dyn Model>) {
        let engine = Synthetic::new(script);
        let model = engine.load(&ModelSource::Embedded("any".to_owned())).unwrap();
        (engine, model)
    }

    const NARROW: InstanceSetup = InstanceSetup { threads: 1, spinning: false };

    #[test]
    fn requests_fail_and_panic_by_count_and_by_value() {
        let (engine, model) = model(Script { fail_every: 3, ..Script::default() });
        let mut instance = model.instance(NARROW).unwrap();
        let ends: Vec<bool> =
            (0..6).map(|x| instance.run(&Synthetic::request(x)).is_ok()).collect();
        assert_eq!(ends, [true, true, false, true, true, false]);
        assert!(instance.run(&Synthetic::request(FAIL)).is_err());
        let request = Synthetic::request(PANIC);
        assert!(catch_unwind(AssertUnwindSafe(|| instance.run(&request))).is_err());
        assert_eq!(engine.tally().runs.load(Ordering::SeqCst), 8);
        assert_eq!(engine.tally().running.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn builds_fail_by_the_script_and_instances_are_counted() {
        let script = Script { build_fail_every: 2, widest: 2, helpers: true, ..Script::default() };
        let (engine, model) = model(script);
        let wide = model.instance(InstanceSetup { threads: 2, spinning: false }).unwrap();
        assert_eq!(wide.threads().len(), 1);
        assert!(model.instance(NARROW).is_err(), "the second build");
        assert!(model.instance(InstanceSetup { threads: 3, spinning: false }).is_err(), "wide");
        assert_eq!(engine.tally().instances.load(Ordering::SeqCst), 1);
        drop(wide);
        assert_eq!(engine.tally().instances.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_closed_gate_holds_a_request_inside_its_instance() {
        let engine = Gated::new(Script::default());
        let model = engine.load(&ModelSource::Embedded("any".to_owned())).unwrap();
        let mut instance = model.instance(NARROW).unwrap();
        let gate = engine.gate();
        let caller = thread::spawn(move || instance.run(&Synthetic::request(1)).is_ok());
        while gate.waiting() == 0 {
            thread::yield_now();
        }
        assert_eq!(engine.tally().runs.load(Ordering::SeqCst), 0);
        gate.set(true);
        assert!(caller.join().unwrap());
        assert_eq!(engine.tally().runs.load(Ordering::SeqCst), 1);
    }
}
