//! How a model runs: the traits that the pool knows, and the engines behind them.

pub mod devices;
pub mod embedded;
pub mod inputs;
pub mod npy;
pub mod onnx;
pub mod onnxruntime;
pub mod rten;
mod selector;
mod shared;
pub mod synth;
pub mod synthetic;
mod tensor;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::layout::ModelSource;
use crate::machine::ThreadId;

pub use selector::{Engines, Loaded};
pub use tensor::{Dim, ElementType, NamedTensor, Signature, Tensor, TensorData, TensorSpec};

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// ONNX Runtime, loaded from a shared library.
    OnnxRuntime,
    /// rten, part of the executable.
    Rten,
    /// A stand-in of the tests and of the benches of the pool.
    Synthetic,
}

/// What an engine can do, so that the screen and the errors can say so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineCapabilities {
    /// Whether instances of one thread share one copy of the weights.
    pub shared_weights: bool,
    /// Whether instances of several threads share them too.
    pub shared_weights_wide: bool,
    /// Whether the number of threads changes without building a session.
    pub live_threads: bool,
    /// Whether a request can be stopped in its middle.
    pub cancel: bool,
    /// Whether instances can run on a GPU.
    pub gpu: bool,
    /// Element types that inputs and outputs may have.
    pub elements: Vec<ElementType>,
}

/// What can go wrong in an engine. Each says what to do where something can be done.
#[derive(Clone, Debug, Error)]
pub enum EngineError {
    /// The engine itself is not there.
    #[error("{reason}")]
    Unavailable {
        /// Why, and how to get it.
        reason: String,
    },
    /// The model's file could not be read.
    #[error("cannot read the model {path}: {reason}")]
    Read {
        /// The file.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// The file is no ONNX model, or a damaged one.
    #[error("{path} is not an ONNX model: {reason}")]
    NotOnnx {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The model needs something that this engine lacks.
    #[error("{engine} cannot run {path}: {reason}")]
    Unsupported {
        /// The engine's name.
        engine: &'static str,
        /// The file.
        path: String,
        /// The operator or the type, by name, and what would help.
        reason: String,
    },
    /// The engine refused the model for another reason.
    #[error("{engine} cannot load {path}: {reason}")]
    Load {
        /// The engine's name.
        engine: &'static str,
        /// The file.
        path: String,
        /// The engine's words.
        reason: String,
    },
    /// A request's tensors do not fit the model's signature.
    #[error("input `{input}`: {reason}")]
    Input {
        /// The input's name.
        input: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The layout sets a dimension that the model does not leave open, or sets it to nothing.
    #[error("`dims`, dimension `{name}`: {reason}")]
    Dimension {
        /// The dimension's name.
        name: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A file with input data cannot be used.
    #[error("cannot use the data in {path}: {reason}")]
    Data {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It would take more memory than the model's budget allows, or has done so.
    #[error("memory budget: {reason}")]
    Memory {
        /// What needs how much, the budget, and what helps.
        reason: String,
    },
    /// A request failed inside the engine.
    #[error("the request failed in {engine}: {reason}")]
    Run {
        /// The engine's name.
        engine: &'static str,
        /// The engine's words.
        reason: String,
    },
}

/// How a figure of memory came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemorySource {
    /// Worked out from what is known of the model's file.
    #[default]
    Estimated,
    /// Counted where the memory is taken: by the library's allocator or by ours.
    Measured,
}

/// Memory that an engine knows of, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineMemory {
    /// Weights, all copies together, as the engine holds them: rearranged for its kernels, and with
    /// what else belongs to the loaded model.
    pub weights: u64,
    /// Copies of the weights that are held.
    pub copies: u32,
    /// Taken beside the weights when instances were built, for graphs and kernels, by how the heap grew:
    /// an estimate. 0 where the other figures hold it.
    #[serde(default)]
    pub graph: u64,
    /// Held for activations and results beyond the weights; `None` where the engine cannot tell.
    pub arena: Option<u64>,
    /// Taken from the system beyond that and never written to: not resident, and in no sum.
    #[serde(default)]
    pub untouched: u64,
    /// Held on a GPU, weights included, by the library's own count; not the machine's memory, and in
    /// no sum. `None` where no instance runs on one, or the library cannot tell.
    #[serde(default)]
    pub gpu: Option<u64>,
    /// How `weights` came about.
    #[serde(default)]
    pub weights_source: MemorySource,
    /// How `arena` came about.
    #[serde(default)]
    pub arena_source: MemorySource,
    /// The loaded model that this one may share with others. The figures above contain this model's
    /// part of it. `None` if the engine cannot share what this model holds.
    #[serde(default)]
    pub shared: Option<SharedMemory>,
}

/// Memory of a loaded model that several models use together, in bytes. Each is charged an equal part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedMemory {
    /// The number of the loaded model, unique in this process.
    pub id: u64,
    /// Models that use it, 1 or more.
    pub users: u32,
    /// Its weights.
    pub weights: u64,
    /// Its graph and kernels.
    pub graph: u64,
    /// Its arena.
    pub arena: u64,
}

impl SharedMemory {
    /// Returns the sum of its parts.
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.graph).saturating_add(self.arena)
    }

    /// Returns the part of each user, rounded up, if there were this many.
    #[must_use]
    pub fn part(&self, users: u32) -> Self {
        let part = |bytes: u64| bytes.div_ceil(u64::from(users.max(1)));
        Self {
            weights: part(self.weights),
            graph: part(self.graph),
            arena: part(self.arena),
            ..*self
        }
    }
}

impl EngineMemory {
    /// Returns the total if at least this many models used the shared model.
    pub fn total_shared_by(&self, users: u32) -> u64 {
        let Some(shared) = self.shared else { return self.total() };
        let now = shared.part(shared.users).total();
        let then = shared.part(users.max(shared.users)).total();
        self.total().saturating_sub(now).saturating_add(then)
    }

    /// Returns the figures without this model's part of a shared model.
    #[must_use]
    pub fn without_shared(&self) -> Self {
        let Some(shared) = self.shared else { return *self };
        let part = shared.part(shared.users);
        Self {
            weights: self.weights.saturating_sub(part.weights),
            graph: self.graph.saturating_sub(part.graph),
            arena: self.arena.map(|arena| arena.saturating_sub(part.arena)),
            ..*self
        }
    }

    /// Weights, graphs and arenas together.
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.graph).saturating_add(self.arena.unwrap_or(0))
    }
}

/// An engine: makes models from files.
pub trait Engine: Send + Sync {
    /// Which one it is.
    fn kind(&self) -> EngineKind;

    /// Its name and version, as the screen shows it ("ONNX Runtime 1.31.1").
    fn title(&self) -> String;

    /// What it can do.
    fn capabilities(&self) -> EngineCapabilities;

    /// Loads a model. Call it from a thread that may run on every core: the engine's own threads
    /// inherit the caller's affinity.
    ///
    /// # Errors
    /// [`EngineError`] when the file cannot be read, is not ONNX, or needs what the engine lacks.
    fn load(&self, source: &ModelSource) -> Result<Arc<dyn Model>, EngineError>;
}

/// A GPU, by the engine's own number of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device {
    /// CUDA's number in this process (see [`devices::ordinal`]).
    pub ordinal: u32,
    /// What one instance may hold there, in bytes.
    pub memory: Option<u64>,
}

/// How an instance is to be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceSetup {
    /// Threads that work on one request, the calling one included; 1 or more.
    pub threads: usize,
    /// Whether they spin while they wait for work.
    pub spinning: bool,
    /// The GPU that it runs on; `None`: the CPU.
    pub device: Option<Device>,
}

impl InstanceSetup {
    /// On the CPU, not spinning.
    pub const fn cpu(threads: usize) -> Self {
        Self { threads, spinning: false, device: None }
    }
}

/// A loaded model. Its weights are held once for all instances where the engine can do that.
pub trait Model: Send + Sync {
    /// What it takes and gives.
    fn signature(&self) -> &Signature;

    /// Builds an instance. Takes from microseconds to the time of a whole session, so call it from
    /// a thread that nobody waits for, and one that may run on every core.
    ///
    /// # Errors
    /// [`EngineError`] when the engine cannot build one of this width.
    fn instance(&self, setup: InstanceSetup) -> Result<Box<dyn Instance>, EngineError>;

    /// Memory held now.
    fn memory(&self) -> EngineMemory;

    /// The most memory that was held at once since the last call, in bytes; `None` where only what
    /// is held now is known.
    fn take_peak(&self) -> Option<u64> {
        None
    }

    /// Gives back what is held beyond the weights and not in use. `trial` is a request that may be
    /// run for it, on the calling thread.
    ///
    /// # Errors
    /// [`EngineError`] when that request fails.
    fn shrink(&self, _trial: &[NamedTensor]) -> Result<(), EngineError> {
        Ok(())
    }

    /// For inputs that look up rows of a constant table, the table's length: synthetic indices
    /// must stay below it. Empty where nothing is known.
    fn index_bounds(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }
}

/// One executing copy of a model: runs one request at a time.
pub trait Instance: Send {
    /// The engine's own threads that work for this instance, beside the one that calls `run`.
    fn threads(&self) -> Vec<ThreadId>;

    /// Runs one request to its end.
    ///
    /// # Errors
    /// [`EngineError::Input`] when the tensors do not fit the signature, [`EngineError::Run`] when
    /// the engine failed. The instance can be used again after the former; after the latter it
    /// should be replaced.
    fn run(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError>;

    /// A further handle on the same session, whose requests run beside this one's on the same threads:
    /// what a program gets that calls one session from several places. `None` where the engine has
    /// no such thing.
    fn another(&self) -> Option<Box<dyn Instance>> {
        None
    }

    /// Calls `body` once on the thread from which `run` costs least: the calling thread, or a
    /// thread of the engine's own pool (then the calling thread sleeps meanwhile).
    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send));
}
