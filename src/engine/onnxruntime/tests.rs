//! Tests of ONNX Runtime. They are skipped if no library is found (`ORT_DYLIB_PATH` or the usual
//! places).

use std::path::Path;
use std::sync::Arc;

use half::{bf16, f16};
use prost::Message;

use super::lease::SINGLE_THREAD;
use super::*;
use crate::engine::onnx::proto::{
    Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TensorType,
    TypeProto, TypeValue, ValueInfoProto,
};
use crate::engine::rten::Rten;
use crate::engine::{Engine, EngineError, InstanceSetup, Model, NamedTensor, Tensor, TensorData};
use crate::layout::ModelSource;

/// Returns the engine. If there is none, prints why the test is skipped and returns `None`.
fn engine() -> Option<OnnxRuntime> {
    match OnnxRuntime::find(None) {
        Ok(engine) => Some(engine),
        Err(error) if std::env::var_os("DIVVY_REQUIRE_ORT").is_some() => panic!("{error}"),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn embedded(name: &str) -> ModelSource {
    ModelSource::Embedded(name.to_owned())
}

fn floats(name: &str, shape: &[usize]) -> Vec<NamedTensor> {
    let count = shape.iter().product::<usize>();
    let values = (0..count).map(|index| ((index * 37 % 101) as f32 - 50.0) / 50.0).collect();
    let tensor = Tensor::new(shape.to_vec(), TensorData::F32(values)).unwrap();
    vec![NamedTensor { name: name.to_owned(), tensor }]
}

fn request(model: &str) -> Vec<NamedTensor> {
    match model {
        "detector.onnx" => floats("image", &[1, 3, 192, 192]),
        "ranker.onnx" => floats("features", &[1, 512, 128]),
        _ => {
            let values = (0..200).map(|index| index * 31 % 768).collect();
            let tensor = Tensor::new(vec![2, 100], TensorData::I64(values)).unwrap();
            vec![NamedTensor { name: "tokens".to_owned(), tensor }]
        }
    }
}

fn largest_difference(a: &[NamedTensor], b: &[NamedTensor]) -> f32 {
    assert_eq!(a.len(), b.len());
    let mut largest = 0f32;
    for (a, b) in a.iter().zip(b) {
        assert_eq!((&a.name, a.tensor.shape()), (&b.name, b.tensor.shape()));
        let (TensorData::F32(a), TensorData::F32(b)) = (a.tensor.data(), b.tensor.data()) else {
            panic!("not floats")
        };
        largest = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(largest, f32::max);
    }
    largest
}

#[test]
fn both_engines_agree_on_the_shipped_models() {
    let Some(engine) = engine() else { return };
    for name in ["detector.onnx", "embedder.onnx", "ranker.onnx"] {
        let inputs = request(name);
        let setup = InstanceSetup::cpu(1);
        let run = |engine: &dyn Engine| {
            engine.load(&embedded(name)).unwrap().instance(setup).unwrap().run(&inputs).unwrap()
        };
        let difference = largest_difference(&run(&engine), &run(&Rten::default()));
        assert!(difference < 1e-4, "{name}: {difference}");
    }
}

#[test]
fn concurrent_requests_are_bit_equal() {
    let Some(engine) = engine() else { return };
    let model = engine.load(&embedded("embedder.onnx")).unwrap();
    let inputs = request("embedder.onnx");
    assert_eq!(model.memory().arena, Some(0), "no request has run");
    let expected = model.instance(SINGLE_THREAD).unwrap().run(&inputs).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut instance = model.instance(SINGLE_THREAD).unwrap();
            let (inputs, expected) = (&inputs, &expected);
            scope.spawn(move || {
                for _ in 0..20 {
                    assert_eq!(&instance.run(inputs).unwrap(), expected);
                }
            });
        }
    });
    assert_eq!(model.memory().copies, 1);
    assert!(model.memory().arena.is_some_and(|bytes| bytes > 0));
}

#[test]
fn shrinking_frees_arena_but_not_weights() {
    let Some(engine) = engine() else { return };
    let model = engine.load(&embedded("detector.onnx")).unwrap();
    let inputs = request("detector.onnx");
    let mut instance = model.instance(SINGLE_THREAD).unwrap();
    let expected = instance.run(&inputs).unwrap();
    let before = model.memory();
    assert!(before.arena.is_some_and(|bytes| bytes > 0));
    model.shrink(&inputs).unwrap();
    let after = model.memory();
    assert!(after.arena < before.arena, "{before:?} {after:?}");
    assert_eq!((after.weights, after.copies), (before.weights, before.copies));
    assert_eq!(instance.run(&inputs).unwrap(), expected);
}

#[test]
fn wide_instance_has_a_separate_session() {
    let Some(engine) = engine() else { return };
    let model = engine.load(&embedded("ranker.onnx")).unwrap();
    let inputs = request("ranker.onnx");
    let mut narrow = model.instance(SINGLE_THREAD).unwrap();
    assert!(narrow.threads().is_empty(), "the caller is the only thread");
    let mut wide = model.instance(InstanceSetup::cpu(3)).unwrap();
    let helpers = wide.threads();
    assert_eq!(helpers.len(), 2);
    #[cfg(target_os = "linux")]
    for helper in &helpers {
        assert!(std::path::Path::new(&format!("/proc/self/task/{helper}")).exists());
    }
    assert_eq!(model.memory().copies, 2);
    let difference = largest_difference(&narrow.run(&inputs).unwrap(), &wide.run(&inputs).unwrap());
    assert!(difference < 1e-5, "{difference}");
    drop(narrow);
    drop(wide);
    let _wide = model.instance(InstanceSetup::cpu(2)).unwrap();
    assert_eq!(model.memory().copies, 1, "the unused shared session is freed");
}

/// Returns a model that copies its inputs, of the given types, to its outputs.
fn echo(specs: &[(&str, i32)]) -> Vec<u8> {
    let info = |name: String, elem_type| ValueInfoProto {
        name,
        r#type: Some(TypeProto {
            value: Some(TypeValue::Tensor(TensorType {
                elem_type,
                shape: Some(TensorShapeProto { dim: vec![Dimension::default()] }),
            })),
        }),
    };
    let mut graph = GraphProto { name: "echo".into(), ..GraphProto::default() };
    for (name, code) in specs {
        graph.input.push(info((*name).to_owned(), *code));
        graph.output.push(info(format!("{name}_out"), *code));
        graph.node.push(NodeProto {
            input: vec![(*name).to_owned()],
            output: vec![format!("{name}_out")],
            op_type: "Identity".into(),
            ..NodeProto::default()
        });
    }
    ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..ModelProto::default()
    }
    .encode_to_vec()
}

#[test]
fn every_element_type_round_trips() {
    let Some(engine) = engine() else { return };
    let all = [
        ("bool", 9, TensorData::Bool(vec![true, false])),
        ("i8", 3, TensorData::I8(vec![-128, 127])),
        ("i16", 5, TensorData::I16(vec![i16::MIN, 7])),
        ("i32", 6, TensorData::I32(vec![i32::MIN, 7])),
        ("i64", 7, TensorData::I64(vec![i64::MIN, 1 << 40])),
        ("u8", 2, TensorData::U8(vec![0, 255])),
        ("u16", 4, TensorData::U16(vec![0, 65_535])),
        ("u32", 12, TensorData::U32(vec![0, u32::MAX])),
        ("u64", 13, TensorData::U64(vec![0, u64::MAX])),
        ("f16", 10, TensorData::F16(vec![f16::from_f32(0.5), f16::MAX])),
        ("bf16", 16, TensorData::BF16(vec![bf16::from_f32(0.5), bf16::MIN])),
        ("f32", 1, TensorData::F32(vec![0.25, -1e30])),
        ("f64", 11, TensorData::F64(vec![0.1, 1e300])),
        ("string", 8, TensorData::String(vec!["grüße".into(), String::new()])),
    ];
    let specs: Vec<(&str, i32)> = all.iter().map(|(name, code, _)| (*name, *code)).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo.onnx");
    std::fs::write(&path, echo(&specs)).unwrap();
    let model = engine.load(&ModelSource::File(path)).unwrap();
    let mut instance = model.instance(SINGLE_THREAD).unwrap();
    let inputs: Vec<NamedTensor> = all
        .iter()
        .map(|(name, _, data)| NamedTensor {
            name: (*name).to_owned(),
            tensor: Tensor::new(vec![2], data.clone()).unwrap(),
        })
        .collect();
    let outputs = instance.run(&inputs).unwrap();
    for (input, output) in inputs.iter().zip(&outputs) {
        assert_eq!(input.tensor, output.tensor, "{}", input.name);
    }
}

#[test]
fn rten_names_the_input_of_unsupported_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.onnx");
    std::fs::write(&path, echo(&[("words", 8)])).unwrap();
    let Err(error) = Rten::default().load(&ModelSource::File(path)) else { panic!("loaded") };
    let text = error.to_string();
    assert!(text.contains("`words`") && text.contains("string"), "{text}");
    assert!(text.contains("divvy runtime install"), "{text}");
}

#[test]
fn both_engines_name_an_unknown_operator() {
    let mut model = ModelProto::decode(echo(&[("x", 1)]).as_slice()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    graph.node[0].op_type = "Frobnicate".into();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    let source = ModelSource::File(path);
    let mut engines: Vec<Box<dyn Engine>> = vec![Box::new(Rten::default())];
    engines.extend(engine().map(|engine| Box::new(engine) as Box<dyn Engine>));
    for engine in engines {
        let Err(error) = engine.load(&source) else { panic!("loaded") };
        assert!(matches!(error, EngineError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains("Frobnicate"), "{error}");
    }
}

#[test]
fn session_works_after_a_failed_request() {
    let Some(engine) = engine() else { return };
    let model = engine.load(&embedded("embedder.onnx")).unwrap();
    let mut instance = model.instance(SINGLE_THREAD).unwrap();
    let tensor = Tensor::new(vec![1, 1], TensorData::I64(vec![1_000_000])).unwrap();
    let bad = [NamedTensor { name: "tokens".to_owned(), tensor }];
    let error = instance.run(&bad).unwrap_err();
    assert!(matches!(error, EngineError::InvalidRequest { .. }), "{error}");
    assert!(instance.run(&request("embedder.onnx")).is_ok());
}

#[test]
fn other_libraries_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libonnxruntime.so");
    std::fs::write(&text, "not a library").unwrap();
    assert!(version(&text).unwrap_err().contains("cannot be loaded as a library"));
    assert!(version(folder.path()).unwrap_err().contains("folder"));
    assert!(version(&folder.path().join("none")).unwrap_err().contains("no such file"));
    #[cfg(target_os = "linux")]
    for libc in ["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/libm.so.6"] {
        if Path::new(libc).exists() {
            assert!(version(Path::new(libc)).unwrap_err().contains("not ONNX Runtime's"));
        }
    }
}

#[test]
fn missing_gpu_is_explained() {
    let Some(engine) = engine() else { return };
    let model = engine.load(&embedded("ranker.onnx")).unwrap();
    let mut on_cpu = model.instance(InstanceSetup::cpu(1)).unwrap();
    // no machine has 1001 GPUs
    let device = Some(crate::engine::Device { ordinal: 1000, memory: Some(64 << 20) });
    let Err(error) = model.instance(InstanceSetup { device, ..InstanceSetup::cpu(1) }) else {
        panic!("it was built")
    };
    let words = error.to_string();
    let known = if engine.capabilities().gpu {
        ["no NVIDIA driver for CUDA", "`divvy runtime install --gpu`", "no device 1000"]
    } else {
        ["has no CUDA: `divvy runtime install --gpu`"; 3]
    };
    assert!(known.iter().any(|known| words.contains(known)), "{words}");
    assert_eq!(model.memory().gpu, None);
    assert!(on_cpu.run(&request("ranker.onnx")).is_ok());
}

#[test]
fn one_thread_rows_share_one_session() {
    let Some(engine) = engine() else { return };
    let source = embedded("ranker.onnx");
    let models: Vec<_> = (0..100).map(|_| engine.load(&source).unwrap()).collect();
    let all: Vec<_> = models.iter().map(|model| model.memory().shared.unwrap()).collect();
    assert!(all.iter().all(|shared| (shared.id, shared.users) == (all[0].id, 100)));
    let charges: u64 = models.iter().map(|model| model.memory().weights).sum();
    assert!((all[0].weights..all[0].weights + 100).contains(&charges), "{charges}");
    let inputs = request("ranker.onnx");
    let run = |model: &Arc<dyn Model>| model.instance(SINGLE_THREAD).unwrap().run(&inputs).unwrap();
    assert_eq!(run(&models[0]), run(&models[99]));
}

#[test]
fn wider_row_leaves_the_shared_session() {
    let Some(engine) = engine() else { return };
    let source = embedded("ranker.onnx");
    let (first, second) = (engine.load(&source).unwrap(), engine.load(&source).unwrap());
    let users = |model: &Arc<dyn Model>| model.memory().shared.map(|shared| shared.users);
    let narrow = second.instance(SINGLE_THREAD).unwrap();
    let wide = second.instance(InstanceSetup::cpu(2)).unwrap();
    assert_eq!(users(&second), Some(2), "its instance for one thread still runs");
    drop(narrow);
    assert_eq!((users(&first), users(&second)), (Some(1), None));
    assert_eq!(second.memory().copies, 1);
    drop(wide);
    let _narrow = second.instance(SINGLE_THREAD).unwrap();
    assert_eq!((users(&first), users(&second)), (Some(2), Some(2)));
    drop(first);
    assert_eq!(users(&second), Some(1));
}

#[test]
fn load_for_wide_setup_builds_one_session() {
    let Some(engine) = engine() else { return };
    let setup = InstanceSetup::cpu(2);
    let model = engine.load_for(&embedded("ranker.onnx"), setup).unwrap();
    assert_eq!(model.memory().copies, 1, "no session for one thread");
    let inputs = request("ranker.onnx");
    let mut trial = None;
    model.with_trial_instance(&mut |instance| trial = Some(instance.run(&inputs))).unwrap();
    let trial = trial.unwrap().unwrap();
    let mut first = model.instance(setup).unwrap();
    assert_eq!(model.memory().copies, 1, "the first instance takes the session of the load");
    assert_eq!(first.threads().len(), 1);
    assert_eq!(first.run(&inputs).unwrap(), trial);
    let _second = model.instance(setup).unwrap();
    assert_eq!(model.memory().copies, 2);
}

#[test]
fn another_setup_frees_the_session_of_the_load() {
    let Some(engine) = engine() else { return };
    let model = engine.load_for(&embedded("ranker.onnx"), InstanceSetup::cpu(2)).unwrap();
    let _narrow = model.instance(SINGLE_THREAD).unwrap();
    assert_eq!(model.memory().copies, 1);
}

#[test]
fn last_narrow_instance_frees_the_shared_session() {
    let Some(engine) = engine() else { return };
    let model = engine.load(&embedded("ranker.onnx")).unwrap();
    let narrow = model.instance(SINGLE_THREAD).unwrap();
    let _wide = model.instance(InstanceSetup::cpu(2)).unwrap();
    // as after a failed run, while the wide one already serves
    let rebuilt = model.instance(SINGLE_THREAD).unwrap();
    assert_eq!(model.memory().copies, 2, "both use the shared session");
    drop(narrow);
    drop(rebuilt);
    assert_eq!(model.memory().copies, 1);
}

#[test]
fn trial_beside_wide_instances_leaves_no_copy() {
    let Some(engine) = engine() else { return };
    let model = engine.load_for(&embedded("ranker.onnx"), InstanceSetup::cpu(2)).unwrap();
    let _wide = model.instance(InstanceSetup::cpu(2)).unwrap();
    model.with_trial_instance(&mut |_| ()).unwrap();
    assert_eq!(model.memory().copies, 1);
}
