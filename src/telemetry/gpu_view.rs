//! The GPUs in a snapshot.

use serde::{Deserialize, Serialize};

/// The GPUs and their driver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct GpuView {
    /// One line for the pane if there is no GPU to show ("no NVIDIA GPU").
    pub note: Option<String>,
    /// The system's or the driver's reason for the note.
    pub reason: Option<String>,
    /// One line for the pane if the driver answers slowly or not at all. The metrics are then older
    /// than the snapshot.
    pub slow: Option<String>,
    /// Duration of the last reading of all GPUs.
    #[serde(alias = "look_us")]
    pub sample_us: u64,
    /// The driver's version ("580.82.07").
    pub driver: Option<String>,
    /// The newest CUDA version that the driver supports ("13.0").
    pub cuda: Option<String>,
    /// The GPUs, by index.
    #[serde(alias = "cards")]
    pub devices: Vec<GpuDevice>,
}

/// One GPU. A reading that the driver does not give is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct GpuDevice {
    /// The driver's index.
    pub index: u32,
    /// The product's name.
    pub name: String,
    /// The driver's identifier ("GPU-" and five groups of hexadecimal digits).
    pub uuid: String,
    /// Share of the sampling period in which a kernel ran.
    #[serde(rename = "busy", alias = "utilisation")]
    pub utilisation: Option<f64>,
    /// Share of the sampling period in which the GPU's memory was read or written.
    pub memory_busy: Option<f64>,
    /// Memory in use.
    pub memory_used_bytes: Option<u64>,
    /// Total memory.
    pub memory_total_bytes: Option<u64>,
    /// Power draw in watts.
    pub power_w: Option<f64>,
    /// The limit in force on the power draw, in watts.
    pub power_limit_w: Option<f64>,
    /// Temperature in degrees Celsius.
    pub temperature_c: Option<u32>,
    /// Clock of the multiprocessors in MHz.
    pub sm_clock_mhz: Option<u32>,
    /// Clock of the memory in MHz.
    pub memory_clock_mhz: Option<u32>,
    /// Current `PCIe` generation of the link; it falls while the GPU is idle.
    pub pcie_generation: Option<u32>,
    /// The highest generation that GPU and slot support.
    pub pcie_generation_max: Option<u32>,
    /// Current `PCIe` lanes of the link.
    pub pcie_width: Option<u32>,
    /// The most lanes that GPU and slot support.
    pub pcie_width_max: Option<u32>,
    /// Bytes per second that the GPU received over `PCIe`, averaged over 20 ms.
    pub pcie_received_bytes_per_s: Option<u64>,
    /// Bytes per second that the GPU sent over `PCIe`, averaged over 20 ms.
    pub pcie_sent_bytes_per_s: Option<u64>,
    /// Reasons for reduced clocks; empty without any, `None` if unknown.
    pub throttle: Option<Vec<String>>,
    /// Processes that compute on the GPU.
    pub processes: Option<u32>,
    /// Memory that this process holds on the GPU. `None` if the driver does not list the process: it
    /// holds none, or the driver knows it by another id, as in a container.
    pub own_memory_bytes: Option<u64>,
    /// This process's share of the multiprocessors, 0 to 1; `None` as for its memory.
    #[serde(rename = "own_busy", alias = "own_utilisation")]
    pub own_utilisation: Option<f64>,
    /// True if the GPU is divided into MIG devices.
    pub mig_enabled: Option<bool>,
    /// Its MIG devices.
    pub mig: Vec<MigDevice>,
    /// The fault of this GPU, if any.
    pub fault: Option<String>,
}

/// A part of a GPU that works as a separate GPU (NVIDIA's Multi-Instance GPU).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct MigDevice {
    /// Its index on the GPU.
    pub index: u32,
    /// The product's name with the profile ("NVIDIA H100 80GB HBM3 MIG 1g.10gb").
    pub name: String,
    /// The driver's identifier ("MIG-" and five groups of hexadecimal digits).
    pub uuid: String,
    /// Memory in use.
    pub memory_used_bytes: Option<u64>,
    /// Total memory.
    pub memory_total_bytes: Option<u64>,
    /// The fault of this device, if any.
    pub fault: Option<String>,
}
