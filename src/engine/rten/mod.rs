//! The embedded engine: rten, pure Rust and always there. Weights are held once for any number of
//! instances of any width; each instance has its own small thread pool.

mod convert;
mod instance;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rten::{LoadErrorKind, ModelOptions, NodeId};

use crate::engine::onnx::{self, ModelFile};
use crate::engine::shared::{LoadedFiles, ModelLease, SharedModels};
use crate::engine::{
    Engine, EngineCapabilities, EngineError, EngineKind, EngineMemory, Instance, InstanceSetup,
    MemorySource, Model, SharedMemory, Signature,
};
use crate::layout::ModelSource;
use crate::machine::allocation::Account;

use instance::RtenInstance;

/// The engine's name in messages.
const NAME: &str = "rten";

/// The version of rten that is built in.
const VERSION: &str = "0.27";

/// What to do when this engine cannot run a model.
const ADVICE: &str =
    "ONNX Runtime can: `divvy runtime install` gets it, then use `--engine onnxruntime`";

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
        Ok(Arc::new(RtenModel { graph: Arc::new(graph), account: Account::open() }))
    }
}

/// A loaded model, used by the instances of all rows that share it.
#[derive(Debug)]
struct LoadedGraph {
    model: rten::Model,
    signature: Signature,
    inputs: Vec<NodeId>,
    outputs: Vec<NodeId>,
    weight_bytes: u64,
    index_bounds: BTreeMap<String, u64>,
    /// Allocations while it was loaded: weights and graph.
    account: Arc<Account>,
}

impl LoadedGraph {
    fn load(source: &ModelSource) -> Result<LoadedFiles<Self>, EngineError> {
        let account = Account::open();
        let _guard = account.enter();
        let file = ModelFile::read(source)?;
        check_types(&file)?;
        check_weight_files(&file)?;
        let model = load(source, &file)?;
        let files = external_files(source, &file);
        let ids = |specs: &[crate::engine::TensorSpec]| -> Result<Vec<NodeId>, EngineError> {
            specs
                .iter()
                .map(|spec| {
                    model.find_node(&spec.name).ok_or_else(|| EngineError::Load {
                        engine: NAME,
                        path: file.title.clone(),
                        reason: format!("it does not find `{}` in the graph", spec.name).into(),
                    })
                })
                .collect()
        };
        let inputs = ids(&file.signature.inputs)?;
        let outputs = ids(&file.signature.outputs)?;
        let value = Self {
            model,
            signature: file.signature,
            inputs,
            outputs,
            weight_bytes: file.weight_bytes,
            index_bounds: file.index_bounds,
            account: Arc::clone(&account),
        };
        Ok(LoadedFiles { value, files })
    }
}

fn external_files(source: &ModelSource, file: &ModelFile) -> Vec<PathBuf> {
    let ModelSource::File(path) = source else { return Vec::new() };
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    file.external_files.iter().map(|name| folder.join(name)).collect()
}

fn check_types(file: &ModelFile) -> Result<(), EngineError> {
    let signature = &file.signature;
    for spec in signature.inputs.iter().chain(&signature.outputs) {
        if !convert::ELEMENTS.contains(&spec.element) {
            return Err(EngineError::Unsupported {
                engine: NAME,
                path: file.title.clone(),
                reason: format!("`{}` has elements of type {}. {ADVICE}", spec.name, spec.element)
                    .into(),
            });
        }
    }
    Ok(())
}

/// rten takes weights only from files with certain names, even when it is given their bytes.
fn check_weight_files(file: &ModelFile) -> Result<(), EngineError> {
    let is_taken = |name: &str| {
        let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
        Path::new(name).components().count() == 1
            && extension.is_some_and(|it| it.starts_with("data") || it.starts_with("onnx_data"))
    };
    match file.external_files.iter().find(|name| !is_taken(name)) {
        None => Ok(()),
        Some(name) => Err(EngineError::Unsupported {
            engine: NAME,
            path: file.title.clone(),
            reason: format!(
                "its weights are in `{name}`, and rten takes them only from files beside the model \
                 that end in .data or .onnx_data. {ADVICE}"
            )
            .into(),
        }),
    }
}

fn load(source: &ModelSource, file: &ModelFile) -> Result<rten::Model, EngineError> {
    let mut options = ModelOptions::with_all_ops();
    options.prepack_weights(true);
    if let ModelSource::File(path) = source {
        // handed over as bytes: by itself rten looks for them only when the model's name ends in
        // .onnx
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        for name in &file.external_files {
            let beside = ModelSource::File(folder.join(name));
            options.external_data(name, onnx::model_bytes(&beside)?.into_owned());
        }
    }
    // rten goes by the file's name, and by its content only when it is given the bytes
    let is_direct = |path: &Path| file.external_files.is_empty() && has_onnx_name(path);
    let read = || -> Result<_, EngineError> {
        Ok(match source {
            ModelSource::File(path) if is_direct(path) => options.load_file(path),
            _ => match onnx::model_bytes(source)? {
                Cow::Borrowed(bytes) => options.load_static_slice(bytes),
                Cow::Owned(bytes) => options.load(bytes),
            },
        })
    };
    // a graph that no exporter would write may trip an assertion in the loader
    let loaded = catch_unwind(AssertUnwindSafe(read)).map_err(|_| EngineError::Load {
        engine: NAME,
        path: file.title.clone(),
        reason: format!("its loader failed on this graph. {ADVICE}").into(),
    })??;
    loaded.map_err(|error| {
        let path = file.title.clone();
        match error.kind() {
            LoadErrorKind::OperatorInvalid => EngineError::Unsupported {
                engine: NAME,
                path,
                reason: format!("{error}. {ADVICE}").into(),
            },
            _ => EngineError::Load {
                engine: NAME,
                path,
                reason: format!("{error}. {ADVICE}").into(),
            },
        }
    })
}

fn has_onnx_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}

/// One row's use of a loaded model.
struct RtenModel {
    graph: Arc<ModelLease<LoadedGraph>>,
    /// Allocations of the row's instances and their requests.
    account: Arc<Account>,
}

/// What a row with a GPU is told.
pub(crate) fn on_the_cpu_only() -> EngineError {
    let reason = format!(
        "{NAME} runs models on the CPU only: a GPU takes ONNX Runtime with CUDA, which `divvy runtime \
         install --gpu` gets"
    );
    EngineError::Unavailable { reason }
}

impl Model for RtenModel {
    fn signature(&self) -> &Signature {
        &self.graph.signature
    }

    fn instance(&self, setup: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
        if setup.device.is_some() {
            return Err(on_the_cpu_only());
        }
        Ok(Box::new(RtenInstance::build(
            Arc::clone(&self.graph),
            Arc::clone(&self.account),
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
            arena: self.account.held(),
            weights_source: source,
            arena_source: source,
            shared: Some(shared),
            ..EngineMemory::default()
        }
    }

    fn take_peak(&self) -> Option<u64> {
        let peak = self.account.take_peak()?;
        Some(peak.saturating_add(self.memory().weights))
    }
}

#[cfg(test)]
mod tests;
