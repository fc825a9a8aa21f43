//! ONNX files as data: what a model takes and gives, its operators and its weights. Knows no
//! engine; the messages are a hand-written subset of `onnx.proto3`.

mod bounds;
mod external;
mod file;
pub(crate) mod proto;
mod scan;
mod signature;
mod source;
pub(crate) mod types;

pub use file::ModelFile;
pub use signature::read_signature;
pub use source::model_bytes;
