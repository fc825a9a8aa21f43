//! ONNX Runtime, loaded from a shared library at run time. Instances of one thread share one
//! session and so one copy of the weights; each wider instance has a separate session.

pub mod cuda;
mod engine;
mod explain;
mod growth;
mod instance;
mod lease;
mod library;
pub mod locate;
mod memory;
mod message;
mod model;
mod names;
mod run;
mod run_buffers;
mod session;
mod session_memory;
mod sessions;
mod value;

pub use engine::{OnnxRuntime, start_bytes};
pub use library::{OLDEST_MINOR, version};

#[cfg(test)]
mod tests;
