//! Sources of GPU metrics, and the options of the sensor.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::telemetry::gpu_view::GpuView;

/// Environment variable with the path of an NVML library that replaces the system's.
pub const LIBRARY_VARIABLE: &str = "DIVVY_NVML";

/// A source of GPU metrics.
pub trait GpuSource: Send + Sync {
    /// Returns the latest metrics. Never waits for the driver.
    fn latest(&self) -> Arc<GpuView>;
}

/// Options of a [`GpuSensor`](super::GpuSensor).
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
