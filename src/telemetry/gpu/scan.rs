//! Reads all GPUs once, and remembers the GPUs of earlier scans: a GPU that disappears is reported
//! as a fault instead of vanishing from the list.

use std::collections::BTreeMap;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::reading::read_gpu;
use super::text::{gpu_fault, is_driver_error};
use crate::telemetry::gpu_view::GpuDevice;

/// The GPUs of earlier scans.
#[derive(Default)]
pub(super) struct SeenGpus {
    /// Index and name by UUID.
    by_uuid: BTreeMap<String, (u32, String)>,
}

impl SeenGpus {
    /// Returns the last known name and UUID of the GPU at this index, without metrics.
    fn last_known(&self, index: u32) -> GpuDevice {
        let found = self.by_uuid.iter().find(|(_, (seen, _))| *seen == index);
        let (uuid, name) =
            found.map(|(uuid, (_, name))| (uuid.clone(), name.clone())).unwrap_or_default();
        GpuDevice { index, name, uuid, ..GpuDevice::default() }
    }
}

/// Reads all GPUs. A GPU that cannot be read is listed with its fault.
///
/// # Errors
/// Returns an error that concerns the whole driver.
pub(super) fn scan(nvml: &Nvml, seen: &mut SeenGpus) -> Result<Vec<GpuDevice>, NvmlError> {
    let mut gpus = Vec::new();
    for index in 0..nvml.device_count()? {
        let read = match nvml.device_by_index(index) {
            Ok(device) => read_gpu(&device, index),
            Err(error) => Err(error),
        };
        let gpu = match read {
            Ok(gpu) => gpu,
            Err(error) if is_driver_error(&error) => return Err(error),
            Err(error) => {
                let fault = Some(gpu_fault(&error, index));
                GpuDevice { fault, ..seen.last_known(index) }
            }
        };
        gpus.push(gpu);
    }
    for (uuid, (index, name)) in &seen.by_uuid {
        if gpus.iter().all(|gpu| gpu.uuid != *uuid) {
            gpus.push(GpuDevice {
                index: *index,
                name: name.clone(),
                uuid: uuid.clone(),
                fault: Some("is gone: the driver no longer lists it".to_owned()),
                ..GpuDevice::default()
            });
        }
    }
    for gpu in gpus.iter().filter(|gpu| gpu.fault.is_none() && !gpu.uuid.is_empty()) {
        seen.by_uuid.insert(gpu.uuid.clone(), (gpu.index, gpu.name.clone()));
    }
    gpus.sort_by_key(|gpu| gpu.index);
    Ok(gpus)
}

/// Formats NVML's number of a CUDA version: 13010 is "13.1".
pub(super) fn cuda_version(number: i32) -> String {
    format!("{}.{}", number / 1000, number % 1000 / 10)
}
