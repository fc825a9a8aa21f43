//! Explanations of the library's messages.

use super::cuda;
use super::library::{Library, NAME};
use crate::engine::onnx::ModelFile;
use crate::engine::{Device, EngineError, EngineReason};

/// Explains why a session could not be built.
pub(super) fn load(
    _library: &Library,
    file: &ModelFile,
    device: Option<Device>,
    message: &str,
) -> EngineError {
    let path = file.title.clone();
    let sentence = match device {
        Some(device) => cuda::meaning(message, device),
        None => message.to_owned(),
    };
    let reason = EngineReason::explained(sentence, message);
    // the library has no code of its own for this case, only these words
    let unknown = ["is not a registered function/op", "No Op registered", "Could not find an impl"];
    if unknown.iter().any(|words| message.contains(words)) {
        return EngineError::Unsupported { engine: NAME, path, reason };
    }
    EngineError::Load { engine: NAME, path, reason }
}

/// Explains why a request failed.
pub(super) fn run(message: &str) -> EngineReason {
    EngineReason::explained(message, message)
}
