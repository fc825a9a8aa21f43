//! The errors of engines, of model files and of input data.

use std::fmt;

use thiserror::Error;

use super::input_fault::InputFault;

/// The reason why an engine refused a model or a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineReason {
    sentence: String,
    raw: Option<String>,
}

impl EngineReason {
    /// Creates a reason that explains an engine's own message.
    pub fn explained(sentence: impl Into<String>, raw: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), raw: Some(raw.into()) }
    }

    /// Returns the engine's own message, if the reason explains one.
    pub fn raw(&self) -> Option<&str> {
        self.raw.as_deref()
    }
}

impl From<String> for EngineReason {
    fn from(sentence: String) -> Self {
        Self { sentence, raw: None }
    }
}

impl fmt::Display for EngineReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.sentence)
    }
}

/// An error of an engine. Each message says what to do, if something can be done.
#[derive(Clone, Debug, Error)]
pub enum EngineError {
    /// The engine is not available.
    #[error("{reason}")]
    Unavailable {
        /// Why, and how to get it.
        reason: String,
    },
    /// The model's file could not be read.
    #[error("cannot read the model {path}: {reason}")]
    Read {
        /// The file.
        path: String,
        /// The system's message.
        reason: String,
    },
    /// The file is not an ONNX model, or is damaged.
    #[error("{path} is not an ONNX model: {reason}")]
    NotOnnx {
        /// The file.
        path: String,
        /// The fault.
        reason: String,
    },
    /// The model needs something that this engine lacks.
    #[error("{engine} cannot run {path}: {reason}")]
    Unsupported {
        /// The engine's name.
        engine: &'static str,
        /// The file.
        path: String,
        /// The name of the operator or type, and a remedy.
        reason: EngineReason,
    },
    /// The engine refused the model for another reason.
    #[error("{engine} cannot load {path}: {reason}")]
    Load {
        /// The engine's name.
        engine: &'static str,
        /// The file.
        path: String,
        /// The explained reason.
        reason: EngineReason,
    },
    /// A request's tensors do not fit the model's signature.
    #[error("input `{input}`: {reason}")]
    Input {
        /// The input's name.
        input: String,
        /// The fault and the valid values.
        reason: InputFault,
    },
    /// The layout sets a dimension that is not open in the model, or sets it to an invalid size.
    #[error("`dims`, dimension `{name}`: {reason}")]
    Dimension {
        /// The dimension's name.
        name: String,
        /// The fault and the valid values.
        reason: String,
    },
    /// A file with input data cannot be used.
    #[error("cannot use the data in {path}: {reason}")]
    Data {
        /// The file.
        path: String,
        /// The fault.
        reason: String,
    },
    /// The model exceeds its memory budget, or would exceed it.
    #[error("memory budget: {reason}")]
    Memory {
        /// The memory needed, the budget and what to do.
        reason: String,
    },
    /// The engine refused a request because of its values or shapes, which the signature does not
    /// show: the request is wrong, and would fail again.
    #[error("{engine} refused the request: {reason}")]
    InvalidRequest {
        /// The engine's name.
        engine: &'static str,
        /// The explained reason.
        reason: EngineReason,
    },
    /// A request failed inside the engine, for a reason that may not be the request's.
    #[error("the request failed in {engine}: {reason}")]
    Run {
        /// The engine's name.
        engine: &'static str,
        /// The explained reason.
        reason: EngineReason,
    },
}

impl EngineError {
    /// Returns the engine's own message, if this error explains one.
    pub fn raw(&self) -> Option<&str> {
        match self {
            Self::Unsupported { reason, .. }
            | Self::Load { reason, .. }
            | Self::InvalidRequest { reason, .. }
            | Self::Run { reason, .. } => reason.raw(),
            _ => None,
        }
    }
}
