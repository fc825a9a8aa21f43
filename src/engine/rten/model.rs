//! A row's loaded model and its memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::graph::LoadedGraph;
use super::instance::RtenInstance;
use super::name::NAME;
use crate::engine::accounts::ModelAccounts;
use crate::engine::shared::ModelLease;
use crate::engine::{
    EngineError, EngineMemory, Instance, InstanceSetup, MemorySource, Model, SharedMemory,
    Signature,
};

/// Returns the error of a row that asks for a GPU.
pub(crate) fn cpu_only_error() -> EngineError {
    let reason = format!(
        "{NAME} runs models on the CPU only. A GPU needs ONNX Runtime with CUDA: install it with \
         `divvy runtime install --gpu`"
    );
    EngineError::Unavailable { reason }
}

/// One row's use of a loaded model.
pub(super) struct RtenModel {
    pub(super) graph: Arc<ModelLease<LoadedGraph>>,
    pub(super) accounts: ModelAccounts,
}

impl Model for RtenModel {
    fn signature(&self) -> &Signature {
        &self.graph.signature
    }

    fn instance(&self, setup: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
        if setup.device.is_some() {
            return Err(cpu_only_error());
        }
        Ok(Box::new(RtenInstance::build(
            Arc::clone(&self.graph),
            self.accounts.clone(),
            setup.threads,
        )?))
    }

    fn index_bounds(&self) -> BTreeMap<String, u64> {
        self.graph.index_bounds.clone()
    }

    fn memory(&self) -> EngineMemory {
        let counted = self.graph.account.held();
        let source =
            if counted.is_some() { MemorySource::Measured } else { MemorySource::Estimated };
        let shared = SharedMemory {
            id: self.graph.id(),
            users: self.graph.users(),
            weights: counted.unwrap_or(self.graph.weight_bytes),
            ..SharedMemory::default()
        };
        EngineMemory {
            weights: shared.part(shared.users).weights,
            copies: 1,
            arena: self.accounts.model.held(),
            in_flight: self.accounts.outputs.held(),
            weights_source: source,
            arena_source: source,
            shared: Some(shared),
            ..EngineMemory::default()
        }
    }

    fn take_peak(&self) -> Option<u64> {
        let peak = self.accounts.model.take_peak()?;
        Some(peak.saturating_add(self.memory().weights))
    }
}
