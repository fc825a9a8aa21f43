//! What the embedded engine promises.

use super::*;
use crate::engine::{NamedTensor, Tensor, TensorData};

fn load(name: &str) -> Arc<dyn Model> {
    Rten.load(&ModelSource::Embedded(name.to_owned())).unwrap()
}

fn narrow(threads: usize) -> InstanceSetup {
    InstanceSetup { threads, spinning: false }
}

fn tokens(shape: &[usize], values: Vec<i64>) -> Vec<NamedTensor> {
    let tensor = Tensor::new(shape.to_vec(), TensorData::I64(values)).unwrap();
    vec![NamedTensor { name: "tokens".into(), tensor }]
}

#[test]
fn the_encoder_gives_unit_vectors_of_the_promised_type_and_shape() {
    let model = load("embedder.onnx");
    let mut instance = model.instance(narrow(1)).unwrap();
    let outputs = instance.run(&tokens(&[2, 16], (0..32).collect())).unwrap();
    assert_eq!(outputs.len(), 1);
    assert_eq!(outputs[0].name, "embedding");
    assert_eq!(outputs[0].tensor.shape(), [2, 96]);
    let TensorData::F32(values) = outputs[0].tensor.data() else { panic!() };
    for row in values.chunks(96) {
        let length: f32 = row.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
    }
    assert_ne!(values[..96], values[96..]);
}

#[test]
fn an_index_beyond_32_bits_names_the_input() {
    let mut instance = load("embedder.onnx").instance(narrow(1)).unwrap();
    let error = instance.run(&tokens(&[1, 1], vec![1 << 40])).unwrap_err();
    assert!(matches!(&error, EngineError::Input { input, .. } if input == "tokens"), "{error}");
    assert!(instance.run(&tokens(&[1, 1], vec![3])).is_ok(), "the instance still works");
}

#[test]
fn width_changes_no_result_and_threads_are_the_ones_that_work() {
    let model = load("embedder.onnx");
    let mut narrow_one = model.instance(narrow(1)).unwrap();
    let mut wide = model.instance(narrow(3)).unwrap();
    assert_eq!(narrow_one.threads().len(), 1);
    assert_eq!(wide.threads().len(), 3);
    let request = tokens(&[1, 64], (0..64).collect());
    let (one, three) = (narrow_one.run(&request).unwrap(), wide.run(&request).unwrap());
    let (TensorData::F32(one), TensorData::F32(three)) =
        (one[0].tensor.data(), three[0].tensor.data())
    else {
        panic!()
    };
    assert!(one.iter().zip(three).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn occupying_runs_on_the_instances_own_thread() {
    let mut instance = load("ranker.onnx").instance(narrow(2)).unwrap();
    let known = instance.threads();
    let mut calls = 0;
    instance.occupy(&mut |inner| {
        calls += 1;
        assert!(known.contains(&crate::machine::current_thread()));
        assert_eq!(inner.threads(), known);
    });
    assert_eq!(calls, 1);
}

#[test]
fn many_instances_hold_the_weights_once() {
    let model = load("ranker.onnx");
    let _instances: Vec<_> = (0..4).map(|_| model.instance(narrow(1)).unwrap()).collect();
    let memory = model.memory();
    assert_eq!(memory.copies, 1);
    assert!(memory.weights > 100_000);
}
