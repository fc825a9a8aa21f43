//! Engines: the traits that the pool runs models through, and the engines that implement them.

mod accounts;
pub mod devices;
pub mod embedded;
mod error;
mod input_fault;
pub mod inputs;
mod interface;
mod memory;
pub mod npy;
pub mod onnx;
pub mod onnxruntime;
pub mod rten;
mod selector;
mod shared;
mod signature;
pub mod synth;
pub mod synthetic;
mod tensor;
mod tensor_bytes;

pub use error::{EngineError, EngineReason};
pub use input_fault::InputFault;
pub use interface::{
    Device, Engine, EngineCapabilities, EngineKind, Instance, InstanceSetup, Model,
};
pub use memory::{EngineMemory, MemorySource, SharedMemory};
pub use selector::{Engines, LoadedByEngine};
pub use signature::{Dim, OpenDim, Signature, TensorSpec};
pub use tensor::{ElementType, NamedTensor, Tensor, TensorData};

#[cfg(test)]
mod tests;
