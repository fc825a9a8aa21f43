//! Tests of requests that fail: an engine's fault and a request's are distinguished.

use super::*;
use crate::engine::{InstanceSetup, NamedTensor, Tensor, TensorData};

fn token(id: i64) -> Vec<NamedTensor> {
    let tensor = Tensor::new(vec![1, 1], TensorData::I64(vec![id])).unwrap();
    vec![NamedTensor { name: "tokens".to_owned(), tensor }]
}

#[test]
fn token_out_of_range_is_an_invalid_request() {
    for engine in engines() {
        let model = load(&*engine, &ModelSource::Embedded("embedder.onnx".to_owned()));
        let mut instance = model.instance(InstanceSetup::cpu(1)).unwrap();
        let error = instance.run(&token(1_000_000)).unwrap_err();
        assert!(matches!(error, EngineError::InvalidRequest { .. }), "{error:?}");
        assert!(instance.run(&token(3)).is_ok());
    }
}

/// Writes a model that adds `x` and `z`, both of the shape `[n]`.
fn write_sum(folder: &Path) -> ModelSource {
    let dims = vec![named("n")];
    let made = HandMadeModel {
        operator: "Add",
        input_dims: dims.clone(),
        output_dims: dims,
        ..HandMadeModel::default()
    };
    let mut proto = made.proto();
    let graph = proto.graph.as_mut().unwrap();
    let mut second = graph.input[0].clone();
    second.name = "z".to_owned();
    graph.input.push(second);
    graph.node[0].input.push("z".to_owned());
    let path = folder.join("sum.onnx");
    std::fs::write(&path, proto.encode_to_vec()).unwrap();
    ModelSource::File(path)
}

fn floats(name: &str, size: usize) -> NamedTensor {
    let tensor = Tensor::new(vec![size], TensorData::F32(vec![1.0; size])).unwrap();
    NamedTensor { name: name.to_owned(), tensor }
}

#[test]
fn unequal_named_dimensions_name_the_input() {
    let folder = tempfile::tempdir().unwrap();
    let source = write_sum(folder.path());
    for engine in engines() {
        let mut instance = load(&*engine, &source).instance(InstanceSetup::cpu(1)).unwrap();
        let error = instance.run(&[floats("x", 2), floats("z", 3)]).unwrap_err();
        let message = "input `z`: its dimension `n` is 3, where that of `x` is 2";
        assert_eq!(error.to_string(), message);
        assert!(instance.run(&[floats("x", 2), floats("z", 2)]).is_ok());
    }
}

#[test]
fn broadcast_of_a_named_dimension_runs() {
    let folder = tempfile::tempdir().unwrap();
    let source = write_sum(folder.path());
    for engine in engines() {
        let mut instance = load(&*engine, &source).instance(InstanceSetup::cpu(1)).unwrap();
        let outputs = instance.run(&[floats("x", 2), floats("z", 1)]).unwrap();
        assert_eq!(outputs[0].tensor.shape(), [2]);
    }
}
