//! NVIDIA GPU sensors, read through NVML.
//!
//! A separate thread calls the driver. A slow, missing or broken driver changes the status line of
//! the GPU pane and blocks nothing else.

mod details;
mod inventory;
mod reading;
mod scan;
mod sensor;
mod text;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use details::details;
pub use sensor::GpuSensor;

use super::snapshot::GpuView;

/// Environment variable with the path of an NVML library that replaces the system's.
pub const LIBRARY_VARIABLE: &str = "DIVVY_NVML";

/// Maximum wait for the first scan. A GPU without persistence mode takes a second or two to wake.
pub const LIST_PATIENCE: Duration = Duration::from_secs(10);

/// A source of GPU metrics.
pub trait GpuSource: Send + Sync {
    /// Returns the latest metrics. Never waits for the driver.
    fn latest(&self) -> Arc<GpuView>;
}

/// Options of a [`GpuSensor`].
#[derive(Clone, Debug)]
pub struct GpuOptions {
    /// Path of the NVML library. `None`: the path in [`LIBRARY_VARIABLE`], else the system's
    /// (`libnvidia-ml.so.1`, on Windows `nvml.dll`).
    pub library: Option<PathBuf>,
    /// Pause between two scans.
    pub interval: Duration,
    /// A scan that takes longer is reported as slow, and the pause after it is extended.
    pub slow: Duration,
    /// Pause between attempts to load a missing driver.
    pub retry: Duration,
}

impl Default for GpuOptions {
    fn default() -> Self {
        Self {
            library: None,
            interval: Duration::from_secs(1),
            slow: Duration::from_secs(1),
            retry: Duration::from_secs(30),
        }
    }
}

/// Scans the GPUs once; waits at most [`LIST_PATIENCE`]. The view's notes report failures.
pub fn list() -> GpuView {
    (*GpuSensor::start(GpuOptions::default()).first(LIST_PATIENCE)).clone()
}
