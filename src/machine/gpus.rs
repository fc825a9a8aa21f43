//! What is known of a machine's GPUs: plain data. The sensors (`telemetry::gpu`) fill it in; nothing
//! here calls a driver.

use serde::{Deserialize, Serialize};

/// The GPUs of a machine, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpus {
    /// The cards, by index. Empty: none is known, which does not mean that there is none.
    pub cards: Vec<Gpu>,
    /// Why no card is known, in a line ("no NVIDIA GPU"); `None` where nobody looked.
    pub note: Option<String>,
}

/// One card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// The driver's index: the order of the cards on the bus.
    pub index: u32,
    /// The product's name.
    pub name: String,
    /// The driver's identifier, "GPU-" and a UUID.
    pub uuid: String,
    /// Its memory in bytes, where it is known.
    pub memory: Option<u64>,
    /// Whether it is cut into MIG devices, and then usable through these alone.
    pub is_mig_enabled: bool,
    /// Its MIG devices.
    pub parts: Vec<GpuPart>,
    /// Why it cannot be used, in a sentence.
    pub fault: Option<String>,
}

/// One MIG device of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuPart {
    /// The product's name with the profile.
    pub name: String,
    /// The driver's identifier, "MIG-" and a UUID.
    pub uuid: String,
    /// Its memory in bytes, where it is known.
    pub memory: Option<u64>,
    /// Why it cannot be used, in a sentence.
    pub fault: Option<String>,
}
