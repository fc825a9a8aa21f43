//! Tests of refusals that users see: each message says what is wrong and what to do.

use super::*;
use crate::engine::EngineKind;

/// Loads the model on one engine and checks its message: the phrases that it contains, and that no
/// source file or C++ name is in it. Does nothing if the engine is not available.
fn check(kind: EngineKind, made: &HandMadeModel, phrases: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let source = made.write(folder.path());
    let Some(engine) = engines().into_iter().find(|engine| engine.kind() == kind) else { return };
    let error = refusal(&*engine, &source);
    let message = error.to_string();
    for phrase in phrases {
        assert!(message.contains(phrase), "{message}");
    }
    for raw in ["::", ".cc:", "onnxruntime_src", "Status Message"] {
        assert!(!message.contains(raw), "{message}");
    }
}

#[test]
fn newer_ir_version_is_explained() {
    let made = HandMadeModel { ir_version: 900, ..HandMadeModel::default() };
    let phrases =
        ["the file has IR version 900; ONNX Runtime 1.", "reads up to", "older IR version"];
    check(EngineKind::OnnxRuntime, &made, &phrases);
}

#[test]
fn newer_operator_set_is_explained() {
    let made = HandMadeModel { opset: 900, ..HandMadeModel::default() };
    let phrases = ["operator set 900 of ai.onnx", "supports up to", "older operator set"];
    check(EngineKind::OnnxRuntime, &made, &phrases);
}

#[test]
fn unknown_operator_is_explained() {
    let made = HandMadeModel { operator: "Frob", ..HandMadeModel::default() };
    check(EngineKind::OnnxRuntime, &made, &["no operator `Frob` in operator set 17"]);
    check(EngineKind::Rten, &made, &["rten has no operator `Frob`", "ONNX Runtime may run it"]);
}

#[test]
fn unknown_domain_is_explained() {
    let made = HandMadeModel { operator: "Frob", domain: "com.acme", ..HandMadeModel::default() };
    check(EngineKind::OnnxRuntime, &made, &["no operator `com.acme.Frob`"]);
    check(EngineKind::Rten, &made, &["no operator `com.acme.Frob`", "ONNX Runtime may run it"]);
}

#[test]
fn missing_kernel_is_explained() {
    // There are no kernels of Sin for bfloat16, and rten has no bfloat16 at all.
    let made =
        HandMadeModel { operator: "Sin", element: 16, opset: 22, ..HandMadeModel::default() };
    check(EngineKind::OnnxRuntime, &made, &["no CPU kernel for the operator `Sin`", "float32"]);
    check(EngineKind::Rten, &made, &["no tensors of bfloat16, which `x` needs"]);
}

#[test]
fn invalid_graph_is_explained() {
    // Not is for booleans only.
    let made = HandMadeModel { operator: "Not", ..HandMadeModel::default() };
    check(EngineKind::OnnxRuntime, &made, &["the graph is invalid", "xport the model again"]);
}

#[test]
fn original_message_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let made = HandMadeModel { operator: "Frob", ..HandMadeModel::default() };
    let source = made.write(folder.path());
    for engine in engines() {
        let error = refusal(&*engine, &source);
        assert!(error.raw().is_some_and(|raw| raw.contains("Frob")), "{error:?}");
    }
}
