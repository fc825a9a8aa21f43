//! Converts sensor readings to the machine's list of GPUs, from which layouts choose.

use crate::machine::{Gpu, GpuPart, Gpus};
use crate::telemetry::gpu_view::{GpuDevice, GpuView, MigDevice};

impl GpuView {
    /// Returns the GPUs and their MIG devices without current metrics.
    pub fn known(&self) -> Gpus {
        Gpus { devices: self.devices.iter().map(gpu).collect(), note: self.note.clone() }
    }
}

fn gpu(source: &GpuDevice) -> Gpu {
    Gpu {
        index: source.index,
        name: source.name.clone(),
        uuid: source.uuid.clone(),
        memory: source.memory_total_bytes,
        is_mig_enabled: source.mig_enabled == Some(true),
        parts: source.mig.iter().map(part).collect(),
        fault: source.fault.clone(),
    }
}

fn part(part: &MigDevice) -> GpuPart {
    GpuPart {
        name: part.name.clone(),
        uuid: part.uuid.clone(),
        memory: part.memory_total_bytes,
        fault: part.fault.clone(),
    }
}
