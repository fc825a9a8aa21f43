//! Selects the engine of each model from the row's choice, the command line's choice and the
//! engines that are available.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::onnxruntime::OnnxRuntime;
use super::rten::Rten;
use super::{Engine, EngineError, Model};
use crate::layout::{EngineChoice, ModelSource};

/// A model and the engine that runs it.
pub struct LoadedByEngine {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// The model.
    pub model: Arc<dyn Model>,
}

/// The engines of a process, with the loaded models that rows share. Searches for ONNX Runtime when
/// it is first needed.
pub struct Engines {
    choice: EngineChoice,
    ort_dylib: Option<PathBuf>,
    onnxruntime: OnceLock<Result<OnnxRuntime, EngineError>>,
    rten: Rten,
}

impl Engines {
    /// Creates the engines. `--engine` applies to rows without a choice; `--ort-dylib` names ONNX
    /// Runtime's library.
    pub fn new(choice: EngineChoice, ort_dylib: Option<PathBuf>) -> Self {
        Self { choice, ort_dylib, onnxruntime: OnceLock::new(), rten: Rten::default() }
    }

    /// Returns ONNX Runtime. Searches for its library on the first call only.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    pub fn onnxruntime(&self) -> Result<OnnxRuntime, EngineError> {
        self.onnxruntime.get_or_init(|| OnnxRuntime::find(self.ort_dylib.as_deref())).clone()
    }

    /// Returns true if the user named a library. If it cannot be used, that is an error: no other
    /// engine replaces it.
    fn is_named(&self) -> bool {
        self.ort_dylib.is_some()
            || std::env::var_os("ORT_DYLIB_PATH").is_some_and(|path| !path.is_empty())
    }

    /// Returns the engine for a row of a layout.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if ONNX Runtime is requested but missing, or if the library
    /// that the user named cannot be used.
    pub fn engine_for(&self, choice: EngineChoice) -> Result<Arc<dyn Engine>, EngineError> {
        let choice = if choice == EngineChoice::Auto { self.choice } else { choice };
        match choice {
            EngineChoice::Rten => Ok(Arc::new(self.rten.clone())),
            EngineChoice::OnnxRuntime => Ok(Arc::new(self.onnxruntime()?)),
            EngineChoice::Auto => match self.onnxruntime() {
                Ok(engine) => Ok(Arc::new(engine)),
                Err(error) if self.is_named() => Err(error),
                Err(_) => Ok(Arc::new(self.rten.clone())),
            },
        }
    }

    /// Loads a model with the engine for its row.
    ///
    /// # Errors
    /// As [`Engines::engine_for`] and [`Engine::load`].
    pub fn load(
        &self,
        choice: EngineChoice,
        source: &ModelSource,
    ) -> Result<LoadedByEngine, EngineError> {
        let engine = self.engine_for(choice)?;
        let model = engine.load(source)?;
        Ok(LoadedByEngine { engine, model })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineKind;

    #[test]
    fn row_choice_overrides_the_command_line() {
        let engines = Engines::new(EngineChoice::OnnxRuntime, Some("/nowhere/at/all.so".into()));
        assert_eq!(engines.engine_for(EngineChoice::Rten).unwrap().kind(), EngineKind::Rten);
    }

    #[test]
    fn missing_named_library_fails_for_auto() {
        let engines = Engines::new(EngineChoice::Auto, Some("/nowhere/at/all.so".into()));
        let Err(error) = engines.engine_for(EngineChoice::Auto) else { panic!() };
        let words = error.to_string();
        assert!(words.contains("--ort-dylib") && words.contains("/nowhere/at/all.so"), "{words}");
        assert!(words.contains("divvy runtime install"), "{words}");
    }
}
