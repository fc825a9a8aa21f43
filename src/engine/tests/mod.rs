//! Tests of both engines on small models made by hand: empty tensors, refusals and failed requests.

mod empty_tensors;
mod failed_requests;
mod refusals;

use std::path::Path;

use prost::Message;

use super::onnx::proto::{
    Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
};
use super::onnxruntime::OnnxRuntime;
use super::rten::Rten;
use super::{Engine, EngineError, Model};
use crate::layout::ModelSource;

/// A model of one operator that reads `x` and writes `y`.
struct HandMadeModel {
    ir_version: i64,
    opset: i64,
    domain: &'static str,
    operator: &'static str,
    /// ONNX's code of the element type of `x` and `y`.
    element: i32,
    input_dims: Vec<Option<DimensionValue>>,
    output_dims: Vec<Option<DimensionValue>>,
}

impl Default for HandMadeModel {
    fn default() -> Self {
        Self {
            ir_version: 8,
            opset: 17,
            domain: "",
            operator: "Neg",
            element: 1,
            input_dims: vec![size(2)],
            output_dims: vec![size(2)],
        }
    }
}

#[allow(clippy::unnecessary_wraps)]
fn size(size: i64) -> Option<DimensionValue> {
    Some(DimensionValue::Size(size))
}

#[allow(clippy::unnecessary_wraps)]
fn named(name: &str) -> Option<DimensionValue> {
    Some(DimensionValue::Name(name.to_owned()))
}

impl HandMadeModel {
    fn proto(&self) -> ModelProto {
        let value = |name: &str, dims: &[Option<DimensionValue>]| {
            let dim = dims.iter().map(|value| Dimension { value: value.clone() }).collect();
            let shape = Some(TensorShapeProto { dim });
            let tensor = TensorType { elem_type: self.element, shape };
            ValueInfoProto {
                name: name.to_owned(),
                r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) }),
            }
        };
        let opset = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
        let mut opset_import = vec![opset("", self.opset)];
        if !self.domain.is_empty() {
            opset_import.push(opset(self.domain, 1));
        }
        ModelProto {
            ir_version: self.ir_version,
            opset_import,
            graph: Some(GraphProto {
                name: "made".to_owned(),
                input: vec![value("x", &self.input_dims)],
                output: vec![value("y", &self.output_dims)],
                node: vec![NodeProto {
                    input: vec!["x".to_owned()],
                    output: vec!["y".to_owned()],
                    op_type: self.operator.to_owned(),
                    domain: self.domain.to_owned(),
                    ..NodeProto::default()
                }],
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        }
    }

    /// Writes the model into a folder.
    fn write(&self, folder: &Path) -> ModelSource {
        let path = folder.join("made.onnx");
        std::fs::write(&path, self.proto().encode_to_vec()).unwrap();
        ModelSource::File(path)
    }
}

/// Returns rten, and ONNX Runtime if a library is found.
fn engines() -> Vec<Box<dyn Engine>> {
    let mut engines: Vec<Box<dyn Engine>> = vec![Box::new(Rten::default())];
    match OnnxRuntime::find(None) {
        Ok(engine) => engines.push(Box::new(engine)),
        Err(error) if std::env::var_os("DIVVY_REQUIRE_ORT").is_some() => panic!("{error}"),
        Err(error) => eprintln!("ONNX Runtime is left out: {error}"),
    }
    engines
}

/// Returns the error of loading a model.
fn refusal(engine: &dyn Engine, source: &ModelSource) -> EngineError {
    match engine.load(source) {
        Ok(_) => panic!("{} has loaded it", engine.title()),
        Err(error) => error,
    }
}

fn load(engine: &dyn Engine, source: &ModelSource) -> std::sync::Arc<dyn Model> {
    engine.load(source).unwrap_or_else(|error| panic!("{}: {error}", engine.title()))
}
