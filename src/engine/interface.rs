//! The traits that the pool runs models through, and the settings that they take.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::EngineError;
use super::memory::EngineMemory;
use super::signature::Signature;
use super::tensor::{ElementType, NamedTensor};
use crate::layout::ModelSource;
use crate::machine::ThreadId;

/// The kind of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// ONNX Runtime, loaded from a shared library.
    OnnxRuntime,
    /// rten, part of the executable.
    Rten,
    /// A stand-in of the tests and of the benches of the pool.
    Synthetic,
}

/// The capabilities of an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineCapabilities {
    /// True if instances of one thread share one copy of the weights.
    pub shared_weights: bool,
    /// True if instances of several threads share them too.
    pub shared_weights_wide: bool,
    /// True if the number of threads can change without building a session.
    pub live_threads: bool,
    /// True if a running request can be cancelled.
    pub cancel: bool,
    /// True if instances can run on a GPU.
    pub gpu: bool,
    /// Element types that inputs and outputs may have.
    pub elements: Vec<ElementType>,
}

/// An engine: makes models from files.
pub trait Engine: Send + Sync {
    /// Returns the kind.
    fn kind(&self) -> EngineKind;

    /// Its name and version, as the screen shows it ("ONNX Runtime 1.31.1").
    fn title(&self) -> String;

    /// Returns its capabilities.
    fn capabilities(&self) -> EngineCapabilities;

    /// Loads a model. The engine's own threads inherit the caller's affinity, until an instance reports
    /// them ([`Instance::threads`]) and they are placed.
    ///
    /// # Errors
    /// [`EngineError`] if the file cannot be read, is not ONNX, or needs a feature that the engine
    /// lacks.
    fn load(&self, source: &ModelSource) -> Result<Arc<dyn Model>, EngineError>;

    /// Loads a model whose instances will have this setup. An engine that builds a session per wide
    /// instance builds the first one here, instead of one that no instance would use.
    ///
    /// # Errors
    /// As [`Engine::load`], and if no instance of this setup can be built.
    fn load_for(
        &self,
        source: &ModelSource,
        setup: InstanceSetup,
    ) -> Result<Arc<dyn Model>, EngineError> {
        let _ = setup;
        self.load(source)
    }
}

/// A GPU, identified by the engine's own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device {
    /// CUDA's number in this process (see [`super::devices::ordinal`]).
    pub ordinal: u32,
    /// The memory limit of one instance there, in bytes.
    pub memory: Option<u64>,
}

/// The settings of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceSetup {
    /// Threads that work on one request, the calling one included; 1 or more.
    pub threads: usize,
    /// True if they spin while they wait for work.
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

/// A loaded model. Its instances share one copy of the weights if the engine supports it.
pub trait Model: Send + Sync {
    /// Returns its inputs and outputs.
    fn signature(&self) -> &Signature;

    /// Returns true if requests may have inputs that the signature does not show, as those of a stand-in.
    fn accepts_any_inputs(&self) -> bool {
        false
    }

    /// Builds an instance. Takes from microseconds to the time of a whole session, so call it from
    /// a thread that nobody waits for. The engine's own threads inherit the caller's affinity.
    ///
    /// # Errors
    /// [`EngineError`] when the engine cannot build one of this width.
    fn instance(&self, setup: InstanceSetup) -> Result<Box<dyn Instance>, EngineError>;

    /// Runs `body` with an instance for trial requests: the one that [`Engine::load_for`] has
    /// built, or a new one with one thread.
    ///
    /// # Errors
    /// [`EngineError`] if no instance can be built.
    fn with_trial_instance(
        &self,
        body: &mut dyn FnMut(&mut dyn Instance),
    ) -> Result<(), EngineError> {
        let mut instance = self.instance(InstanceSetup::cpu(1))?;
        body(instance.as_mut());
        Ok(())
    }

    /// Returns the memory that it holds.
    fn memory(&self) -> EngineMemory;

    /// Returns the peak memory since the last call, in bytes; `None` if only the current memory is
    /// known.
    fn take_peak(&self) -> Option<u64> {
        None
    }

    /// Frees unused memory other than the weights. May run the request `trial` for that, on the
    /// calling thread.
    ///
    /// # Errors
    /// [`EngineError`] when that request fails.
    fn shrink(&self, _trial: &[NamedTensor]) -> Result<(), EngineError> {
        Ok(())
    }

    /// For inputs that look up rows of a constant table, the table's length: synthetic indices
    /// must stay below it. Empty if no table is known.
    fn index_bounds(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }
}

/// One executing copy of a model: runs one request at a time.
pub trait Instance: Send {
    /// Returns the engine's own threads that work for this instance, without the thread that calls
    /// `run`.
    fn threads(&self) -> Vec<ThreadId>;

    /// Runs one request to its end.
    ///
    /// # Errors
    /// [`EngineError::Input`] when the tensors do not fit the signature, [`EngineError::InvalidRequest`]
    /// when the engine says that the request is at fault: the instance can be used again after both.
    /// [`EngineError::Run`] for every other failure: the instance can be used again if it still runs a
    /// known good request.
    fn run(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError>;

    /// Returns another handle of the same session, as for a program that calls one session from
    /// several places. Its requests run concurrently on the same threads. `None` if the engine does
    /// not support this.
    fn another(&self) -> Option<Box<dyn Instance>> {
        None
    }

    /// Calls `body` once on the thread from which `run` costs least: the calling thread, or a
    /// thread of the engine's own pool (the calling thread then sleeps).
    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send));
}
