//! The configuration of a model in the form that Triton's clients read. It states facts only: what the
//! layout and the file say.

use serde::Serialize;

use super::datatype::{config_datatype, config_datatype_number};
use super::metadata::{open_shape, platform};
use super::serve_error::ServeError;
use super::state::ServerState;
use crate::engine::{EngineKind, TensorSpec};

/// The configuration of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelConfig {
    /// The model's name.
    pub name: String,
    /// The engine and the format ("`onnxruntime_onnx`").
    pub platform: &'static str,
    /// The engine.
    pub backend: &'static str,
    /// Always 0: the dimensions below are whole, and the server makes no batches.
    pub max_batch_size: i32,
    /// Inputs, in the model's order.
    pub input: Vec<TensorConfig>,
    /// Outputs, in the model's order.
    pub output: Vec<TensorConfig>,
    /// The active instances; empty before the model is placed.
    pub instance_group: Vec<InstanceGroup>,
    /// The number of answers per request.
    pub model_transaction_policy: TransactionPolicy,
}

/// The configuration of an input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorConfig {
    /// Its name.
    pub name: String,
    /// Its type ("`TYPE_FP32`").
    pub data_type: &'static str,
    /// The number of its type in Triton's messages.
    #[serde(skip)]
    pub data_type_number: i32,
    /// Its dimensions, as in [`super::metadata::TensorMetadata::shape`].
    pub dims: Vec<i64>,
}

/// The instances of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceGroup {
    /// The model's name.
    pub name: String,
    /// "`KIND_CPU`" or "`KIND_GPU`".
    pub kind: &'static str,
    /// The number of active instances.
    pub count: i32,
}

/// The number of answers per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TransactionPolicy {
    /// False: each request has one answer.
    pub decoupled: bool,
}

impl ServerState {
    /// Returns the configuration of a model.
    ///
    /// # Errors
    /// As [`ServerState::model_metadata`].
    pub fn model_config(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<ModelConfig, ServeError> {
        let (signature, engine) = self.signature(name, version)?;
        let snapshot = self.models.snapshot();
        let group = |model: &crate::telemetry::ModelView| InstanceGroup {
            name: name.to_owned(),
            kind: if model.row.budget.gpu.is_some() { "KIND_GPU" } else { "KIND_CPU" },
            count: i32::try_from(model.row.concurrency).unwrap_or(i32::MAX),
        };
        let list = |specs: &[TensorSpec]| specs.iter().map(configure_tensor).collect();
        Ok(ModelConfig {
            name: name.to_owned(),
            platform: platform(engine),
            backend: match engine {
                Some(EngineKind::OnnxRuntime) => "onnxruntime",
                Some(EngineKind::Rten) => "rten",
                Some(EngineKind::Synthetic) => "synthetic",
                None => "",
            },
            max_batch_size: 0,
            input: list(&signature.inputs),
            output: list(&signature.outputs),
            instance_group: snapshot.model(name).map(group).into_iter().collect(),
            model_transaction_policy: TransactionPolicy { decoupled: false },
        })
    }
}

fn configure_tensor(spec: &TensorSpec) -> TensorConfig {
    TensorConfig {
        name: spec.name.clone(),
        data_type: config_datatype(spec.element),
        data_type_number: config_datatype_number(spec.element),
        dims: open_shape(spec),
    }
}
