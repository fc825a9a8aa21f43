//! A loaded graph with its weights, and the checks before it is loaded.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rten::{ModelOptions, NodeId};

use super::explain::{self, ADVICE};
use super::name::NAME;
use super::{convert, loading_threads};
use crate::engine::onnx::{self, ModelFile};
use crate::engine::shared::LoadedFiles;
use crate::engine::{EngineError, Signature};
use crate::layout::ModelSource;
use crate::machine::allocation::Account;

/// A loaded model, used by the instances of all rows that share it.
#[derive(Debug)]
pub(super) struct LoadedGraph {
    pub(super) model: rten::Model,
    pub(super) signature: Signature,
    pub(super) inputs: Vec<NodeId>,
    pub(super) outputs: Vec<NodeId>,
    pub(super) weight_bytes: u64,
    pub(super) index_bounds: BTreeMap<String, u64>,
    /// Allocations while it was loaded: weights and graph.
    pub(super) account: Arc<Account>,
}

impl LoadedGraph {
    /// Loads a model's file.
    pub(super) fn load(source: &ModelSource) -> Result<LoadedFiles<Self>, EngineError> {
        loading_threads::start();
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
                        reason: format!("the graph has no value `{}`. {ADVICE}", spec.name).into(),
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
                reason: format!(
                    "{NAME} has no tensors of {}, which `{}` needs. {ADVICE}",
                    spec.element, spec.name
                )
                .into(),
            });
        }
    }
    Ok(())
}

/// Checks the names of files with weights: rten accepts only certain ones, even with their bytes.
fn check_weight_files(file: &ModelFile) -> Result<(), EngineError> {
    let is_accepted = |name: &str| {
        let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
        Path::new(name).components().count() == 1
            && extension.is_some_and(|it| it.starts_with("data") || it.starts_with("onnx_data"))
    };
    match file.external_files.iter().find(|name| !is_accepted(name)) {
        None => Ok(()),
        Some(name) => Err(EngineError::Unsupported {
            engine: NAME,
            path: file.title.clone(),
            reason: format!(
                "its weights are in `{name}`, and {NAME} reads them only from files beside the model that \
                 end in .data or .onnx_data. ONNX Runtime reads them: install it with `divvy \
                 runtime install`, and use `--engine onnxruntime`"
            )
            .into(),
        }),
    }
}

fn load(source: &ModelSource, file: &ModelFile) -> Result<rten::Model, EngineError> {
    let mut options = ModelOptions::with_all_ops();
    options.prepack_weights(true);
    if let ModelSource::File(path) = source {
        // Passed as bytes: rten finds these files by itself only if the model's name ends in .onnx.
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        for name in &file.external_files {
            let beside = ModelSource::File(folder.join(name));
            options.external_data(name, onnx::model_bytes(&beside)?.into_owned());
        }
    }
    // rten detects the format by the file's name, or by the content if it gets the bytes.
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
    // An assertion of the loader may panic on a graph that no exporter would write.
    let loaded = catch_unwind(AssertUnwindSafe(read)).map_err(|_| EngineError::Load {
        engine: NAME,
        path: file.title.clone(),
        reason: format!("its loader panicked on this graph. {ADVICE}").into(),
    })??;
    loaded.map_err(|error| explain::load(source, file, &error))
}

fn has_onnx_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}
