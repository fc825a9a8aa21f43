//! The GPUs of a machine: plain data, filled in by the sensors (`telemetry::gpu`).

use serde::{Deserialize, Serialize};

/// The known GPUs of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gpus {
    /// The GPUs, by index. An empty list means that none is known, not that there is none.
    #[serde(alias = "cards")]
    pub devices: Vec<Gpu>,
    /// The reason why no GPU is known, in one line ("no NVIDIA GPU"); `None` before the first reading.
    pub note: Option<String>,
}

/// One GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gpu {
    /// The driver's index: the order of the GPUs on the bus.
    pub index: u32,
    /// The product's name.
    pub name: String,
    /// The driver's identifier, "GPU-" and a UUID.
    pub uuid: String,
    /// Its memory in bytes, if known.
    pub memory: Option<u64>,
    /// True if it is split into MIG devices; it can then be used only through these.
    pub is_mig_enabled: bool,
    /// Its MIG devices.
    pub parts: Vec<GpuPart>,
    /// The reason why it cannot be used.
    pub fault: Option<String>,
}

/// One MIG device of a GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GpuPart {
    /// The product's name with the profile.
    pub name: String,
    /// The driver's identifier, "MIG-" and a UUID.
    pub uuid: String,
    /// Its memory in bytes, if known.
    pub memory: Option<u64>,
    /// The reason why it cannot be used.
    pub fault: Option<String>,
}
