//! Reads the names in a layout's models and recordings that its keys refer to.

use std::collections::BTreeMap;
use std::path::Path;

use crate::engine::npy::array_names;
use crate::engine::onnx::ModelFile;
use crate::layout::{
    Budget, Layout, LoadSpec, ModelInput, ModelNames, ModelSignature, ModelSource, RecordedArrays,
};

/// The rows to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameScope {
    /// Every row, so that models that cannot be read are reported.
    AllRows,
    /// Rows with keys that refer to names in a model or a recording, if both can be read. The others
    /// fail alone when they are loaded.
    ReadableRows,
}

/// Returns one entry per row for [`Document::check_models`](crate::layout::Document::check_models).
/// The model of several rows is read once.
pub(crate) fn read_model_names(layout: &Layout, scope: NameScope) -> Vec<Option<ModelNames>> {
    let mut signatures: BTreeMap<String, Result<ModelSignature, String>> = BTreeMap::new();
    let mut names = |row: &Budget| {
        let source = row.source.model()?;
        if scope == NameScope::ReadableRows && !has_names(row) {
            return None;
        }
        let signature = signatures
            .entry(format!("{source:?}"))
            .or_insert_with(|| read_signature(source))
            .clone();
        let recording = match &row.load {
            Some(LoadSpec::Replay { file, .. }) => Some(read_arrays(file)),
            _ => None,
        };
        let is_readable = signature.is_ok() && !matches!(recording, Some(Err(_)));
        let is_checked = scope == NameScope::AllRows || is_readable;
        is_checked.then_some(ModelNames { signature, recording })
    };
    layout.models.iter().map(&mut names).collect()
}

/// Returns true if a key of the row refers to a name in its model or its recording.
fn has_names(row: &Budget) -> bool {
    let replays = matches!(row.load, Some(LoadSpec::Replay { .. }));
    replays || !row.dims.is_empty() || !row.inputs.is_empty()
}

fn read_signature(source: &ModelSource) -> Result<ModelSignature, String> {
    let signature = ModelFile::read(source).map_err(|error| error.to_string())?.signature;
    let inputs = signature.inputs.iter().map(|input| ModelInput {
        name: input.name.clone(),
        open_dims: input.open_dims().map(|dim| dim.name).collect(),
    });
    Ok(ModelSignature {
        inputs: inputs.collect(),
        outputs: signature.outputs.iter().map(|output| output.name.clone()).collect(),
    })
}

fn read_arrays(file: &Path) -> Result<RecordedArrays, String> {
    let names = array_names(file).map_err(|error| error.to_string())?;
    Ok(names.map_or(RecordedArrays::Single, RecordedArrays::Named))
}
