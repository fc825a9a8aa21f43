//! GPU sensors: NVIDIA cards through NVML, read on a thread of their own, so that a driver that is
//! slow, gone or broken costs a line on the pane and nothing else.

mod card;
mod details;
mod known;
mod look;
mod sensor;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use details::details;
pub use sensor::GpuSensor;

use super::snapshot::GpuView;

/// Names the NVML library to load, where it is not the system's own.
pub const LIBRARY_VARIABLE: &str = "DIVVY_NVML";

/// The longest that the first look is waited for where it matters. A card without persistence mode takes a second or
/// two to wake.
pub const LIST_PATIENCE: Duration = Duration::from_secs(10);

/// Where GPU figures come from.
pub trait GpuSource: Send + Sync {
    /// What is known now. Never waits for a driver.
    fn latest(&self) -> Arc<GpuView>;
}

/// How a [`GpuSensor`] looks.
#[derive(Clone, Debug)]
pub struct GpuOptions {
    /// The NVML library; `None`: the one that [`LIBRARY_VARIABLE`] names, else the system's
    /// (`libnvidia-ml.so.1`, on Windows `nvml.dll`).
    pub library: Option<PathBuf>,
    /// Time between the end of a look and the next one.
    pub interval: Duration,
    /// A look that takes longer is called slow, and the pauses get longer.
    pub slow: Duration,
    /// Time between attempts to find a driver that is not there.
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

/// Looks once, for at most ten seconds. What could not be found out is said in the view.
pub fn list() -> GpuView {
    (*GpuSensor::start(GpuOptions::default()).first(LIST_PATIENCE)).clone()
}
