//! How the scheduler comes by a model: from its row to something that can be instantiated. A trait,
//! so that tests script what loads, how slowly, and what fails.

use std::sync::Arc;

use crate::engine::{EngineError, EngineKind, Model, NamedTensor};
use crate::layout::Budget;
use crate::pool::tensor_bytes;

/// A loaded model and what is needed to run it.
pub struct LoadedModel {
    /// The model.
    pub model: Arc<dyn Model>,
    /// Which engine runs it.
    pub engine: EngineKind,
    /// The engine's name and version.
    pub title: String,
    /// Requests that fit it: the first warms instances up, all of them are the built-in load's.
    pub requests: PreparedRequests,
}

/// Prepared requests of the built-in load.
#[derive(Clone, Debug, Default)]
pub struct PreparedRequests {
    /// The requests, at least one.
    pub inputs: Vec<Arc<Vec<NamedTensor>>>,
    /// When each was recorded, from the first one on, in microseconds; empty where unknown.
    pub recorded_us: Vec<u64>,
}

impl PreparedRequests {
    /// Bytes of all their tensors.
    pub fn bytes(&self) -> u64 {
        self.inputs.iter().map(|inputs| tensor_bytes(inputs)).sum()
    }
}

/// Makes models from rows.
pub trait Loader: Send + Sync {
    /// Loads a row's model and prepares its requests. Called on a thread of its own that may run
    /// on every core.
    ///
    /// # Errors
    /// [`EngineError`] when the model or its inputs cannot be had.
    fn load(&self, budget: &Budget) -> Result<LoadedModel, EngineError>;
}
