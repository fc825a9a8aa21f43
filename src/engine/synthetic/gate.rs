//! The synthetic engine behind a gate: a test decides when requests that are in an instance go on.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::{Script, Synthetic, Tally};
use crate::engine::{
    Engine, EngineCapabilities, EngineError, EngineKind, EngineMemory, Instance, InstanceSetup,
    Model, NamedTensor, Signature,
};
use crate::layout::ModelSource;
use crate::machine::ThreadId;

/// A switch that a test can hold on to: requests of [`Gated`] wait until it is open.
#[derive(Debug, Default)]
pub struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    waiting: AtomicU32,
    abandoned: AtomicBool,
}

impl Gate {
    /// Opens or closes it.
    pub fn set(&self, open: bool) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = open;
        self.changed.notify_all();
    }

    /// Requests that wait at it now.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Lets every request pass from now on, so that a failing test can end.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
        self.set(true);
    }

    fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open && !self.abandoned.load(Ordering::SeqCst) {
            open = self.changed.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
        drop(open);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The synthetic engine with a gate before each request's work: a test decides when requests that
/// are in an instance go on.
#[derive(Clone, Debug, Default)]
pub struct Gated {
    inner: Synthetic,
    gate: Arc<Gate>,
}

impl Gated {
    /// An engine that follows the script, with a closed gate.
    pub fn new(script: Script) -> Self {
        Self { inner: Synthetic::new(script), gate: Arc::default() }
    }

    /// The gate of all its models.
    pub fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// What all of its models did so far.
    pub fn tally(&self) -> Arc<Tally> {
        self.inner.tally()
    }
}

impl Engine for Gated {
    fn kind(&self) -> EngineKind {
        EngineKind::Synthetic
    }

    fn title(&self) -> String {
        self.inner.title()
    }

    fn capabilities(&self) -> EngineCapabilities {
        self.inner.capabilities()
    }

    fn load(&self, source: &ModelSource) -> Result<Arc<dyn Model>, EngineError> {
        let inner = self.inner.load(source)?;
        Ok(Arc::new(GatedModel { inner, gate: Arc::clone(&self.gate) }))
    }
}

struct GatedModel {
    inner: Arc<dyn Model>,
    gate: Arc<Gate>,
}

impl Model for GatedModel {
    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn instance(&self, setup: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
        let inner = self.inner.instance(setup)?;
        Ok(Box::new(GatedInstance { inner, gate: Arc::clone(&self.gate) }))
    }

    fn memory(&self) -> EngineMemory {
        self.inner.memory()
    }
}

struct GatedInstance {
    inner: Box<dyn Instance>,
    gate: Arc<Gate>,
}

impl Instance for GatedInstance {
    fn threads(&self) -> Vec<ThreadId> {
        self.inner.threads()
    }

    fn run(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError> {
        self.gate.pass();
        self.inner.run(inputs)
    }

    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send)) {
        body(self);
    }
}
