//! The metadata of the server and of its models, for both protocols.

use serde::Serialize;

use super::datatype::datatype;
use super::serve_error::{ErrorKind, ServeError};
use super::state::ServerState;
use crate::engine::{Dim, EngineKind, Signature, TensorSpec};
use crate::telemetry::ModelState;

/// The metadata of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerMetadata {
    /// "divvy".
    pub name: &'static str,
    /// The version of divvy.
    pub version: &'static str,
    /// The extensions of the protocol that it offers.
    pub extensions: &'static [&'static str],
}

/// The extensions of the protocol that the server offers.
const EXTENSIONS: [&str; 5] =
    ["binary_tensor_data", "model_configuration", "parameters", "schedule_policy", "statistics"];

/// The metadata of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelMetadata {
    /// Its name.
    pub name: String,
    /// Its only version.
    pub versions: Vec<String>,
    /// The engine and the format ("`onnxruntime_onnx`").
    pub platform: &'static str,
    /// Its inputs, in the model's order.
    pub inputs: Vec<TensorMetadata>,
    /// Its outputs, in the model's order.
    pub outputs: Vec<TensorMetadata>,
}

/// The metadata of an input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorMetadata {
    /// Its name.
    pub name: String,
    /// Its type ("FP32").
    pub datatype: &'static str,
    /// Its dimensions. Those that each request sets are -1; `[-1]` if even their number is open; empty for a
    /// scalar.
    pub shape: Vec<i64>,
}

/// One entry of the list of models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IndexEntry {
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// "READY", "LOADING", "UNLOADING" or "UNAVAILABLE".
    pub state: &'static str,
    /// The reason why it is not ready; empty if it is.
    pub reason: String,
}

impl ServerState {
    /// Returns the metadata of the server.
    pub fn metadata(&self) -> ServerMetadata {
        ServerMetadata {
            name: "divvy",
            version: env!("CARGO_PKG_VERSION"),
            extensions: &EXTENSIONS,
        }
    }

    /// Returns the metadata of a model.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchModel`], or [`ErrorKind::Unavailable`] if its file has not been read.
    pub fn model_metadata(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<ModelMetadata, ServeError> {
        let (signature, engine) = self.signature(name, version)?;
        let list = |specs: &[TensorSpec]| specs.iter().map(describe_tensor).collect();
        Ok(ModelMetadata {
            name: name.to_owned(),
            versions: vec![self.version(name)],
            platform: platform(engine),
            inputs: list(&signature.inputs),
            outputs: list(&signature.outputs),
        })
    }

    /// Returns the inputs and outputs of a model, and its engine if that is known.
    pub(super) fn signature(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<(std::sync::Arc<Signature>, Option<EngineKind>), ServeError> {
        let signature = self.find(name, version)?.signature();
        let snapshot = self.models.snapshot();
        let view = snapshot.model(name);
        if signature.inputs.is_empty() && signature.outputs.is_empty() {
            let reason = match view.map(|view| &view.state) {
                None | Some(ModelState::Loading) => "it is loading",
                Some(ModelState::Failed { reason }) => reason,
                Some(_) => "",
            };
            if !reason.is_empty() {
                let message = format!("model `{name}` is not ready: {reason}");
                return Err(ServeError::new(ErrorKind::Unavailable, message));
            }
        }
        Ok((signature, view.and_then(|view| view.engine)))
    }

    /// Returns the models of the layout, in its order; only those that are ready if `ready` is true.
    pub fn repository_index(&self, ready: bool) -> Vec<IndexEntry> {
        let snapshot = self.models.snapshot();
        let entry = |model: &crate::telemetry::ModelView| {
            let name = &model.row.budget.name;
            let (state, reason) = match &model.state {
                ModelState::Running | ModelState::Warming { .. } => ("READY", ""),
                ModelState::Loading => ("LOADING", "it is loading"),
                ModelState::Draining => ("UNLOADING", "it is being removed"),
                ModelState::Paused => ("UNAVAILABLE", "it is paused"),
                ModelState::Failed { reason } => ("UNAVAILABLE", reason.as_str()),
                ModelState::Absent => ("UNAVAILABLE", ""),
            };
            let (version, reason) = (self.version(name), reason.to_owned());
            IndexEntry { name: name.clone(), version, state, reason }
        };
        let entries = snapshot.served_models().map(entry);
        entries.filter(|entry| !ready || entry.state == "READY").collect()
    }
}

fn describe_tensor(spec: &TensorSpec) -> TensorMetadata {
    TensorMetadata {
        name: spec.name.clone(),
        datatype: datatype(spec.element),
        shape: open_shape(spec),
    }
}

/// Returns the dimensions of an input or output, with -1 for those that each request sets.
pub(super) fn open_shape(spec: &TensorSpec) -> Vec<i64> {
    let dim = |dim: &Dim| match dim {
        Dim::Fixed(size) => i64::try_from(*size).unwrap_or(i64::MAX),
        Dim::Named(_) | Dim::Unknown => -1,
    };
    spec.dims.as_ref().map_or_else(|| vec![-1], |dims| dims.iter().map(dim).collect())
}

/// Returns the protocol's name of an engine with its format.
pub(super) fn platform(engine: Option<EngineKind>) -> &'static str {
    match engine {
        Some(EngineKind::OnnxRuntime) => "onnxruntime_onnx",
        Some(EngineKind::Rten) => "rten_onnx",
        Some(EngineKind::Synthetic) => "synthetic",
        None => "onnx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ElementType;

    #[test]
    fn open_dimensions_are_minus_one() {
        let shape = |dims: Option<Vec<Dim>>| {
            open_shape(&TensorSpec { name: "x".to_owned(), element: ElementType::F32, dims })
        };
        let named = Dim::Named("batch".to_owned());
        assert_eq!(shape(Some(vec![named, Dim::Fixed(3), Dim::Unknown])), [-1, 3, -1]);
        assert_eq!(shape(None), [-1]);
        assert_eq!(shape(Some(Vec::new())), [0i64; 0]);
    }
}
