//! The report of `divvy machine`.

use serde::{Deserialize, Serialize};

use crate::machine::{Description, MemoryUse};
use crate::telemetry::GpuView;

/// The JSON of `divvy machine --json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineReport {
    /// Version of this format; raised when a field changes its meaning or is removed.
    pub version: u32,
    /// Cores, limits and notes.
    #[serde(flatten)]
    pub description: Description,
    /// Memory of the machine and of this process, in bytes.
    pub memory: MemoryUse,
    /// The NVIDIA GPUs.
    pub gpus: GpuView,
}

impl MachineReport {
    /// The format version that this build writes.
    pub const VERSION: u32 = 1;
}
