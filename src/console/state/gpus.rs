//! Models and devices: the GPUs, MIG devices and CPU where a model can run.

use crate::layout::GpuId;
use crate::telemetry::GpuDevice;

/// The device that runs a model: a GPU, or `None` for the CPU.
pub type DeviceChoice = Option<GpuId>;

/// Returns the name of a device for messages.
pub fn title(place: &DeviceChoice) -> String {
    place.as_ref().map_or_else(|| "CPU".to_owned(), GpuId::title)
}

/// Returns the ids of a GPU that a layout can name: its MIG devices if MIG is enabled, else the
/// GPU.
pub fn names(gpu: &GpuDevice) -> Vec<GpuId> {
    if gpu.mig_enabled == Some(true) {
        return gpu.mig.iter().filter_map(|part| part.uuid.parse().ok()).collect();
    }
    vec![GpuId::Index(gpu.index)]
}
