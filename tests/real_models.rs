//! Real models on real inputs: our answers against those of Python's onnxruntime.
//!
//! `scripts/real-models` fetches the models and writes both sides. Without them the test is skipped
//! with a word; `DIVVY_REQUIRE_REAL=1` makes that a failure.

// helpers of tests, which clippy takes for production code outside of a test module
#![allow(clippy::panic, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use divvy::engine::npy::read_requests;
use divvy::engine::onnxruntime::OnnxRuntime;
use divvy::engine::rten::Rten;
use divvy::engine::{Engine, InstanceSetup, NamedTensor, Signature, TensorData};
use divvy::layout::ModelSource;

fn models() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    if folder.join("expected").is_dir() {
        return Some(folder);
    }
    let why = "models/ is not there; `scripts/real-models` fetches it";
    assert!(std::env::var_os("DIVVY_REQUIRE_REAL").is_none_or(|it| it != "1"), "{why}");
    eprintln!("skipped: {why}");
    None
}

/// The largest difference of two outputs, in units of `1e-3 + 1e-3 |expected|`.
fn difference(ours: &NamedTensor, expected: &NamedTensor) -> f32 {
    assert_eq!(ours.name, expected.name);
    assert_eq!(ours.tensor.shape(), expected.tensor.shape(), "{}", ours.name);
    let (TensorData::F32(ours), TensorData::F32(expected)) =
        (ours.tensor.data(), expected.tensor.data())
    else {
        panic!("{} is not of floats", ours.name)
    };
    ours.iter().zip(expected).fold(0.0, |largest: f32, (ours, expected)| {
        assert!(ours.is_finite());
        largest.max((ours - expected).abs() / (1e-3 + 1e-3 * expected.abs()))
    })
}

fn compare(engine: &dyn Engine, folder: &Path, name: &str) {
    let source = ModelSource::File(folder.join(format!("{name}.onnx")));
    let model = engine.load(&source).unwrap_or_else(|error| panic!("{name}: {error}"));
    let signature = model.signature();
    let recorded =
        read_requests(&folder.join(format!("inputs/{name}.npz")), signature).unwrap().requests;
    let outputs = Signature { inputs: signature.outputs.clone(), outputs: Vec::new() };
    let expected =
        read_requests(&folder.join(format!("expected/{name}.npz")), &outputs).unwrap().requests;
    assert_eq!(recorded.len(), expected.len());
    // each width once over the recording: the second checks sessions with helper threads
    for threads in [1, 2] {
        let mut instance = model.instance(InstanceSetup::cpu(threads)).unwrap();
        let mut largest = 0f32;
        let count = if threads == 1 { 64 } else { 3 };
        for (inputs, expected) in recorded.iter().zip(&expected).take(count) {
            let ours = instance.run(inputs).unwrap();
            for (ours, expected) in ours.iter().zip(expected) {
                largest = largest.max(difference(ours, expected));
            }
        }
        let title = engine.title();
        eprintln!("{name} on {title}, threads = {threads}: {largest:.3} of the tolerance");
        assert!(largest <= 1.0, "{name} on {title} differs by {largest} times the tolerance");
    }
}

#[test]
fn our_answers_are_those_of_pythons_onnxruntime() {
    let Some(folder) = models() else { return };
    let mut engines: Vec<Box<dyn Engine>> = vec![Box::new(Rten::default())];
    // the library that came with Python's package, unless another one is named
    let beside = folder.join(".python/onnxruntime/capi");
    let is_named = std::env::var_os("ORT_DYLIB_PATH").is_some();
    match OnnxRuntime::find((!is_named && beside.is_dir()).then_some(&beside)) {
        Ok(engine) => engines.push(Box::new(engine)),
        Err(error) => eprintln!("ONNX Runtime is left out: {error}"),
    }
    let mut names: Vec<String> = std::fs::read_dir(folder.join("expected"))
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().to_str()?.strip_suffix(".npz").map(str::to_owned)
        })
        .collect();
    names.sort();
    assert!(names.len() >= 6, "only {names:?}");
    for name in &names {
        for engine in &engines {
            compare(engine.as_ref(), &folder, name);
        }
    }
}
