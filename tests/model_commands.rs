//! `synth`, `inspect` and `runtime status` as a user runs them, and what they answer to bad input.

// helpers of tests, which clippy takes for production code outside of a test module
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

fn divvy(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_divvy")).args(words).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Asserts that the command ended as bad input does: exit code 2, nothing on stdout, and one
/// message with these words.
fn refused(words: &[&str], expected: &[&str]) {
    let output = divvy(words);
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{words:?}: {message}");
    assert!(output.stdout.is_empty(), "{words:?}");
    for part in expected {
        assert!(message.contains(part), "{words:?}: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

#[test]
fn synthesized_model_is_reproducible() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (first, second) = (path("a.onnx"), path("b.onnx"));
    for file in [&first, &second] {
        let words =
            ["synth", "encoder", "--layers", "1", "--width", "32", "--seed", "9", "-o", file];
        assert!(divvy(&words).status.success());
    }
    assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
    let output = divvy(&["inspect", &first, "--json"]);
    assert!(output.status.success());
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["signature"]["inputs"][0]["name"], "tokens");
    assert_eq!(report["index_bounds"]["tokens"], 768);
    assert_eq!(report["operators"]["Softmax"], 1);
    assert_eq!(report["engines"][0]["loads"], true);
    let text = stdout(&divvy(&["inspect", &first]));
    assert!(text.contains("tokens  int64 [batch, seq]  indices below 768"), "{text}");
}

#[test]
fn embedded_model_is_inspected_by_name() {
    let output = divvy(&["inspect", "detector.onnx"]);
    assert!(output.status.success());
    assert!(stdout(&output).contains("image  float32 [batch, 3, 192, 192]"));
}

#[test]
fn other_files_are_bad_input() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let asset = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/ranker.onnx");
    let whole = std::fs::read(asset).unwrap();
    refused(&["inspect", "/nowhere/m.onnx"], &["/nowhere/m.onnx", "no such file"]);
    refused(&["inspect", folder.path().to_str().unwrap()], &["folder"]);
    refused(&["inspect", &at("text.onnx", b"not a model")], &["text.onnx", "not an ONNX model"]);
    refused(&["inspect", &at("empty.onnx", b"")], &["empty"]);
    let cut = &whole[..whole.len() / 2];
    refused(&["inspect", &at("cut.onnx", cut)], &["cut.onnx", "cut short"]);
}

#[test]
fn impossible_sizes_are_bad_input() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.onnx");
    let path = file.to_str().unwrap();
    refused(&["synth", "encoder", "--heads", "7", "-o", path], &["heads is 7"]);
    refused(&["synth", "conv", "--image", "30", "-o", path], &["image is 30", "multiple of 8"]);
    refused(&["synth", "mlp", "--hidden", "0", "-o", path], &["width is 0"]);
    assert!(!file.exists(), "nothing is written");
}

#[test]
fn other_libraries_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    std::fs::write(&path, "no library").unwrap();
    let output = divvy(&["runtime", "status", "--json", "--ort-dylib", path.to_str().unwrap()]);
    assert!(output.status.success());
    let status: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert!(status["used"].is_null());
    assert_eq!(status["found"][0]["origin"], "option");
    assert!(status["found"][0]["fault"].as_str().unwrap().contains("cannot be loaded"));
}
