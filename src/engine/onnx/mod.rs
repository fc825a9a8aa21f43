//! ONNX files as data: inputs, outputs, operators and weights of a model. Independent of engines;
//! the messages are a hand-written subset of `onnx.proto3`.

mod bounds;
mod external;
mod file;
mod operators;
pub(crate) mod proto;
mod scan;
mod signature;
mod source;
pub(crate) mod types;
mod weight_files;

pub use file::ModelFile;
pub(crate) use operators::{Node, find_operators};
pub use signature::read_signature;
pub use source::model_bytes;
pub use weight_files::weight_files;
