//! Reads the metrics of one GPU. A metric that cannot be read is `None`.
//!
//! After an error that concerns the whole GPU or the driver, no more calls are made, because each
//! call to a lost GPU may block for long.

use std::time::{Duration, SystemTime};

use nvml_wrapper::Device;
use nvml_wrapper::enum_wrappers::device::{Clock, PcieUtilCounter, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;

use super::text::{is_driver_error, is_gpu_error, throttle_reasons};
use crate::telemetry::gpu_view::{GpuDevice, MigDevice};

/// Maximum age of a process utilisation sample. Older samples are ignored.
const MAX_SAMPLE_AGE: Duration = Duration::from_secs(2);

/// NVML calls on one device, which stop at the first error that concerns the whole GPU.
struct DeviceReader<'a, 'nvml> {
    device: &'a Device<'nvml>,
    /// The error that stopped the calls.
    fatal: Option<NvmlError>,
}

impl<'nvml> DeviceReader<'_, 'nvml> {
    /// Calls NVML. Returns `None` if the call fails or an earlier error was fatal.
    fn read<T>(&mut self, call: impl FnOnce(&Device<'nvml>) -> Result<T, NvmlError>) -> Option<T> {
        if self.fatal.is_some() {
            return None;
        }
        match call(self.device) {
            Ok(value) => Some(value),
            Err(error) => {
                if is_gpu_error(&error) || is_driver_error(&error) {
                    self.fatal = Some(error);
                }
                None
            }
        }
    }
}

/// Reads all metrics of a GPU.
///
/// # Errors
/// Returns the driver's error if the GPU or the driver is lost.
pub(super) fn read_gpu(device: &Device<'_>, index: u32) -> Result<GpuDevice, NvmlError> {
    let mut reader = DeviceReader { device, fatal: None };
    let gpu = read_metrics(&mut reader, index);
    reader.fatal.map_or(Ok(gpu), Err)
}

fn read_metrics(reader: &mut DeviceReader<'_, '_>, index: u32) -> GpuDevice {
    let name = reader.read(Device::name).unwrap_or_default();
    let uuid = reader.read(Device::uuid).unwrap_or_default();
    let busy = reader.read(Device::utilization_rates);
    let memory = reader.read(Device::memory_info);
    let processes = reader.read(Device::running_compute_processes);
    let mig_enabled = reader.read(Device::mig_mode).map(|mode| mode.current == 1);
    let pcie = |reader: &mut DeviceReader<'_, '_>, direction| {
        // NVML reports throughput in units of 1000 bytes per second.
        reader.read(|device| device.pcie_throughput(direction)).map(|units| u64::from(units) * 1000)
    };
    GpuDevice {
        index,
        name,
        uuid,
        utilisation: busy.as_ref().map(|busy| share(busy.gpu)),
        memory_busy: busy.as_ref().map(|busy| share(busy.memory)),
        memory_used_bytes: memory.as_ref().map(|memory| memory.used),
        memory_total_bytes: memory.as_ref().map(|memory| memory.total),
        power_w: reader.read(Device::power_usage).map(watts),
        power_limit_w: reader.read(Device::enforced_power_limit).map(watts),
        temperature_c: reader.read(|device| device.temperature(TemperatureSensor::Gpu)),
        sm_clock_mhz: reader.read(|device| device.clock_info(Clock::SM)),
        memory_clock_mhz: reader.read(|device| device.clock_info(Clock::Memory)),
        pcie_generation: reader.read(Device::current_pcie_link_gen),
        pcie_generation_max: reader.read(Device::max_pcie_link_gen),
        pcie_width: reader.read(Device::current_pcie_link_width),
        pcie_width_max: reader.read(Device::max_pcie_link_width),
        pcie_received_bytes_per_s: pcie(reader, PcieUtilCounter::Receive),
        pcie_sent_bytes_per_s: pcie(reader, PcieUtilCounter::Send),
        throttle: reader.read(Device::current_throttle_reasons).map(throttle_reasons),
        processes: processes.as_ref().map(|all| all.len() as u32),
        own_memory_bytes: processes.as_deref().and_then(own_memory),
        own_utilisation: own_utilisation(reader),
        mig_enabled,
        mig: if mig_enabled == Some(true) { mig_devices(reader) } else { Vec::new() },
        fault: None,
    }
}

/// Returns the GPU memory of this process in bytes. Sums its entries: NVML lists a process once per
/// MIG device that it uses.
fn own_memory(processes: &[ProcessInfo]) -> Option<u64> {
    let own = processes.iter().filter(|process| process.pid == std::process::id());
    own.filter_map(|process| match process.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    })
    .reduce(u64::saturating_add)
}

/// Returns this process's share of the GPU in its newest sample, from 0 to 1.
fn own_utilisation(reader: &mut DeviceReader<'_, '_>) -> Option<f64> {
    // The driver's timestamps are microseconds since 1970.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let since = now.saturating_sub(MAX_SAMPLE_AGE).as_micros() as u64;
    let samples = reader.read(|device| device.process_utilization_stats(since))?;
    let own = samples.iter().filter(|sample| sample.pid == std::process::id());
    // A sample above 100 % was never filled by the driver.
    let newest =
        own.filter(|sample| sample.sm_util <= 100).max_by_key(|sample| sample.timestamp)?;
    Some(share(newest.sm_util))
}

fn mig_devices(reader: &mut DeviceReader<'_, '_>) -> Vec<MigDevice> {
    let slots = reader.read(Device::mig_device_count).unwrap_or(0);
    (0..slots).filter_map(|index| mig_device(reader, index)).collect()
}

/// Reads the MIG device in one slot of a GPU. Returns `None` if the slot is empty.
fn mig_device(reader: &mut DeviceReader<'_, '_>, index: u32) -> Option<MigDevice> {
    let found = reader.read(|device| match device.mig_device_by_index(index) {
        Err(NvmlError::NotFound | NvmlError::InvalidArg) => Ok(None),
        Err(error) if is_gpu_error(&error) || is_driver_error(&error) => Err(error),
        other => Ok(Some(other)),
    })??;
    let device = match found {
        Ok(device) => device,
        Err(error) => {
            let fault = Some(format!("cannot be read: {error}"));
            return Some(MigDevice { index, fault, ..MigDevice::default() });
        }
    };
    let mut part = DeviceReader { device: &device, fatal: None };
    let memory = part.read(Device::memory_info);
    let mig = MigDevice {
        index,
        name: part.read(Device::name).unwrap_or_default(),
        uuid: part.read(Device::uuid).unwrap_or_default(),
        memory_used_bytes: memory.as_ref().map(|memory| memory.used),
        memory_total_bytes: memory.as_ref().map(|memory| memory.total),
        fault: None,
    };
    // A fatal error of a MIG device concerns the whole GPU.
    reader.fatal = part.fatal;
    Some(mig)
}

fn share(percent: u32) -> f64 {
    f64::from(percent) / 100.0
}

fn watts(milliwatts: u32) -> f64 {
    f64::from(milliwatts) / 1000.0
}
