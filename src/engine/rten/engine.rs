//! rten as an engine.

use std::sync::Arc;

use super::convert;
use super::graph::LoadedGraph;
use super::model::RtenModel;
use super::name::{NAME, VERSION};
use crate::engine::accounts::ModelAccounts;
use crate::engine::shared::SharedModels;
use crate::engine::{Engine, EngineCapabilities, EngineError, EngineKind, Model};
use crate::layout::ModelSource;

/// The embedded engine. Its clones share loaded models.
#[derive(Clone, Debug, Default)]
pub struct Rten {
    models: Arc<SharedModels<LoadedGraph>>,
}

impl Engine for Rten {
    fn kind(&self) -> EngineKind {
        EngineKind::Rten
    }

    fn title(&self) -> String {
        format!("{NAME} {VERSION}")
    }

    fn capabilities(&self) -> EngineCapabilities {
        EngineCapabilities {
            shared_weights: true,
            shared_weights_wide: true,
            live_threads: false,
            cancel: false,
            gpu: false,
            elements: convert::ELEMENTS.to_vec(),
        }
    }

    fn load(&self, source: &ModelSource) -> Result<Arc<dyn Model>, EngineError> {
        let graph = self.models.get_or_load(source, || LoadedGraph::load(source))?;
        Ok(Arc::new(RtenModel { graph: Arc::new(graph), accounts: ModelAccounts::open() }))
    }
}
