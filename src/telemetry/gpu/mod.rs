//! NVIDIA GPU sensors, read through NVML.
//!
//! A separate thread calls the driver. A slow, missing or broken driver changes the status line of
//! the GPU pane and blocks nothing else.

mod details;
mod inventory;
mod reading;
mod scan;
mod sensor;
mod source;
mod text;

pub use details::details;
pub use sensor::{GpuSensor, LIST_PATIENCE, list};
pub use source::{GpuOptions, GpuSource, LIBRARY_VARIABLE};
