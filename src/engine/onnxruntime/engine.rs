//! ONNX Runtime as an engine.

use std::path::Path;
use std::sync::Arc;

use super::cuda;
use super::library::{self, Library, NAME};
use super::model::OrtModel;
use super::session::OrtSession;
use crate::engine::shared::SharedModels;
use crate::engine::{
    ElementType, Engine, EngineCapabilities, EngineError, EngineKind, InstanceSetup, Model,
};
use crate::layout::ModelSource;

/// Returns the growth of the process's heap while the library started, in bytes; 0 while it is not
/// loaded.
pub fn start_bytes() -> u64 {
    library::start_bytes()
}

/// The engine ONNX Runtime. Its clones share loaded models.
#[derive(Clone)]
pub struct OnnxRuntime {
    library: Arc<Library>,
    models: Arc<SharedModels<Arc<OrtSession>>>,
}

impl OnnxRuntime {
    /// Loads the library: the named one, else `ORT_DYLIB_PATH`, else the first of the search of
    /// [`super::locate::places`] that can be used. A process has one library: later calls return it
    /// again.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] with the reason and what to do.
    pub fn find(explicit: Option<&Path>) -> Result<Self, EngineError> {
        library::find(explicit).map(|library| Self { library, models: Arc::default() })
    }

    /// Returns the library's file.
    pub fn path(&self) -> &Path {
        &self.library.path
    }

    /// Returns the library's version, "1.31.1".
    pub fn version(&self) -> &str {
        &self.library.version
    }
}

impl Engine for OnnxRuntime {
    fn kind(&self) -> EngineKind {
        EngineKind::OnnxRuntime
    }

    fn title(&self) -> String {
        format!("{NAME} {}", self.library.version)
    }

    fn capabilities(&self) -> EngineCapabilities {
        EngineCapabilities {
            shared_weights: true,
            shared_weights_wide: false,
            live_threads: false,
            cancel: false,
            gpu: cuda::is_built_in(),
            elements: ElementType::ALL.to_vec(),
        }
    }

    fn load(&self, source: &ModelSource) -> Result<Arc<dyn Model>, EngineError> {
        Ok(Arc::new(OrtModel::load(&self.library, &self.models, source)?))
    }

    fn load_for(
        &self,
        source: &ModelSource,
        setup: InstanceSetup,
    ) -> Result<Arc<dyn Model>, EngineError> {
        if setup.threads <= 1 && setup.device.is_none() {
            return self.load(source);
        }
        Ok(Arc::new(OrtModel::load_for(&self.library, &self.models, source, setup)?))
    }
}
