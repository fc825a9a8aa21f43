//! Tests of the embedded engine.

use std::path::Path;
use std::sync::Arc;

use prost::Message;
use prost::bytes::Bytes;

use super::Rten;
use crate::engine::onnx::ModelFile;
use crate::engine::onnx::proto::{ModelProto, StringStringEntryProto, TensorProto};
use crate::engine::{Engine, EngineError, InstanceSetup, Model, NamedTensor, Tensor, TensorData};
use crate::layout::ModelSource;

fn load(name: &str) -> Arc<dyn Model> {
    Rten::default().load(&ModelSource::Embedded(name.to_owned())).unwrap()
}

fn narrow(threads: usize) -> InstanceSetup {
    InstanceSetup::cpu(threads)
}

fn tokens(shape: &[usize], values: Vec<i64>) -> Vec<NamedTensor> {
    let tensor = Tensor::new(shape.to_vec(), TensorData::I64(values)).unwrap();
    vec![NamedTensor { name: "tokens".into(), tensor }]
}

#[test]
fn encoder_returns_unit_vectors() {
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
fn index_beyond_32_bits_names_the_input() {
    let mut instance = load("embedder.onnx").instance(narrow(1)).unwrap();
    let error = instance.run(&tokens(&[1, 1], vec![1 << 40])).unwrap_err();
    assert!(matches!(&error, EngineError::Input { input, .. } if input == "tokens"), "{error}");
    assert!(instance.run(&tokens(&[1, 1], vec![3])).is_ok(), "the instance still works");
}

#[test]
fn width_does_not_change_results() {
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

/// Writes the ranker with its weights in a separate file. Returns the model's path.
fn with_weights_beside(folder: &Path, name: &str, location: &str) -> std::path::PathBuf {
    let bytes = crate::engine::embedded::bytes("ranker.onnx").unwrap();
    let mut model = ModelProto::decode(bytes).unwrap();
    let mut weights = Vec::new();
    for tensor in &mut model.graph.as_mut().unwrap().initializer {
        let entry =
            |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
        tensor.external_data = vec![
            entry("location", location.to_owned()),
            entry("offset", weights.len().to_string()),
            entry("length", tensor.raw_data.len().to_string()),
        ];
        weights.extend_from_slice(&tensor.raw_data);
        tensor.raw_data = Bytes::new();
        tensor.data_location = TensorProto::EXTERNAL;
    }
    std::fs::write(folder.join(location), weights).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

fn features() -> Vec<NamedTensor> {
    let values = (0..512 * 128).map(|index| (index % 13) as f32 / 13.0).collect();
    let tensor = Tensor::new(vec![1, 512, 128], TensorData::F32(values)).unwrap();
    vec![NamedTensor { name: "features".into(), tensor }]
}

#[test]
fn finds_weights_beside_any_model_name() {
    let folder = tempfile::tempdir().unwrap();
    let expected = load("ranker.onnx").instance(narrow(1)).unwrap().run(&features()).unwrap();
    for name in ["model.onnx", "model.data"] {
        let source = ModelSource::File(with_weights_beside(folder.path(), name, "weights.data"));
        let file = ModelFile::read(&source).unwrap();
        assert_eq!(file.external_bytes, file.weight_bytes);
        assert_eq!(file.external_files.iter().collect::<Vec<_>>(), ["weights.data"]);
        let model = Rten::default().load(&source).unwrap();
        assert_eq!(model.instance(narrow(1)).unwrap().run(&features()).unwrap(), expected);
    }
}

#[test]
fn missing_or_short_weight_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let source =
        ModelSource::File(with_weights_beside(folder.path(), "model.onnx", "weights.data"));
    let weights = folder.path().join("weights.data");
    let reason = || match Rten::default().load(&source) {
        Ok(_) => panic!("loaded"),
        Err(error) => error.to_string(),
    };
    std::fs::write(&weights, [0; 10]).unwrap();
    assert!(reason().contains("weights.data") && reason().contains("cut short"), "{}", reason());
    std::fs::remove_file(&weights).unwrap();
    assert!(reason().contains("weights.data") && reason().contains("beside the model"));
}

#[test]
fn refuses_weights_outside_the_models_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_weights_beside(folder.path(), "m.onnx", "weights.data");
    let whole = ModelProto::decode(std::fs::read(&path).unwrap().as_slice()).unwrap();
    let source = ModelSource::File(path.clone());
    for location in ["../weights.data", "/etc/passwd", "a/../../weights.data"] {
        let mut model = whole.clone();
        for tensor in &mut model.graph.as_mut().unwrap().initializer {
            location.clone_into(&mut tensor.external_data[0].value);
        }
        std::fs::write(&path, model.encode_to_vec()).unwrap();
        let error = ModelFile::read(&source).unwrap_err().to_string();
        assert!(error.contains("outside of the model's folder"), "{error}");
    }
}

#[test]
fn refuses_unsupported_weight_file_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let source = ModelSource::File(with_weights_beside(folder.path(), "m.onnx", "weights.bin"));
    let Err(error) = Rten::default().load(&source) else { panic!("loaded") };
    assert!(matches!(error, EngineError::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("`weights.bin`"), "{error}");
}

#[test]
fn gpu_refusal_suggests_the_gpu_runtime() {
    let device = Some(crate::engine::Device { ordinal: 0, memory: None });
    let setup = InstanceSetup { device, ..narrow(1) };
    let Err(error) = load("ranker.onnx").instance(setup) else { panic!("it was built") };
    assert!(error.to_string().contains("divvy runtime install --gpu"), "{error}");
    assert!(!Rten::default().capabilities().gpu);
}

#[test]
fn rows_of_any_width_share_one_model() {
    let engine = Rten::default();
    let source = ModelSource::Embedded("embedder.onnx".to_owned());
    let models: Vec<_> = (0..100).map(|_| engine.load(&source).unwrap()).collect();
    let mut wide = models[1].instance(narrow(3)).unwrap();
    let all: Vec<_> = models.iter().map(|model| model.memory().shared.unwrap()).collect();
    assert!(all.iter().all(|shared| (shared.id, shared.users) == (all[0].id, 100)));
    let request = tokens(&[1, 4], vec![1, 2, 3, 4]);
    let expected = wide.run(&request).unwrap();
    drop((wide, models));
    let again = engine.load(&source).unwrap();
    assert_eq!(again.memory().shared.map(|shared| shared.users), Some(1));
    assert_ne!(again.memory().shared.map(|shared| shared.id), Some(all[0].id), "it was freed");
    let answer = again.instance(narrow(1)).unwrap().run(&request).unwrap();
    assert_eq!(answer[0].tensor.shape(), expected[0].tensor.shape());
}

#[test]
fn knows_the_threads_of_loads() {
    let load = load("embedder.onnx");
    let threads = super::loading_threads();
    assert!(!threads.is_empty() && !threads.contains(&crate::machine::current_thread()));
    drop(load);
}
