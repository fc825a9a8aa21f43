//! divvy divides the cores and the concurrency of one machine between the ONNX models that run in
//! one process, live.
//!
//! Three streams, each one way: requests go from a load generator or a library call through a
//! [`pool`] into an [`engine`]; changes go from a [`layout::Change`] through the [`scheduler`] to the
//! pools; measurements come back as a [`telemetry::Snapshot`].

pub mod cli;
pub mod command;
pub mod console;
pub mod engine;
pub mod layout;
pub mod load;
pub mod machine;
pub mod pool;
pub mod scheduler;
pub mod telemetry;
