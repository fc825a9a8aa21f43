//! The readings of one card. One that fails is `None`; only an error that is about the whole card
//! or the driver ends the rest, since each further call to a lost card may take long.

use std::time::{Duration, SystemTime};

use nvml_wrapper::Device;
use nvml_wrapper::enum_wrappers::device::{Clock, PcieUtilCounter, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;

use super::words::{ends_card, ends_driver, throttle};
use crate::telemetry::snapshot::{GpuCard, MigDevice};

/// Samples of a process's use that are older than this say nothing of now.
const FRESH: Duration = Duration::from_secs(2);

/// Calls one by one, and remembers the error that ends them.
struct Readings<'a, 'nvml> {
    device: &'a Device<'nvml>,
    end: Option<NvmlError>,
}

impl<'nvml> Readings<'_, 'nvml> {
    fn read<T>(&mut self, call: impl FnOnce(&Device<'nvml>) -> Result<T, NvmlError>) -> Option<T> {
        if self.end.is_some() {
            return None;
        }
        match call(self.device) {
            Ok(value) => Some(value),
            Err(error) => {
                if ends_card(&error) || ends_driver(&error) {
                    self.end = Some(error);
                }
                None
            }
        }
    }
}

/// Reads a card.
///
/// # Errors
/// The driver's error when the card, or the driver, is lost.
pub(super) fn read_card(device: &Device<'_>, index: u32) -> Result<GpuCard, NvmlError> {
    let mut readings = Readings { device, end: None };
    let card = gather(&mut readings, index);
    readings.end.map_or(Ok(card), Err)
}

fn gather(from: &mut Readings<'_, '_>, index: u32) -> GpuCard {
    let name = from.read(Device::name).unwrap_or_default();
    let uuid = from.read(Device::uuid).unwrap_or_default();
    let busy = from.read(Device::utilization_rates);
    let memory = from.read(Device::memory_info);
    let processes = from.read(Device::running_compute_processes);
    let mig_enabled = from.read(Device::mig_mode).map(|mode| mode.current == 1);
    let pcie = |from: &mut Readings<'_, '_>, way| {
        // NVML counts in units of 1000 bytes a second.
        from.read(|device| device.pcie_throughput(way)).map(|units| u64::from(units) * 1000)
    };
    GpuCard {
        index,
        name,
        uuid,
        utilisation: busy.as_ref().map(|busy| share(busy.gpu)),
        memory_busy: busy.as_ref().map(|busy| share(busy.memory)),
        memory_used_bytes: memory.as_ref().map(|memory| memory.used),
        memory_total_bytes: memory.as_ref().map(|memory| memory.total),
        power_w: from.read(Device::power_usage).map(watts),
        power_limit_w: from.read(Device::enforced_power_limit).map(watts),
        temperature_c: from.read(|device| device.temperature(TemperatureSensor::Gpu)),
        sm_clock_mhz: from.read(|device| device.clock_info(Clock::SM)),
        memory_clock_mhz: from.read(|device| device.clock_info(Clock::Memory)),
        pcie_generation: from.read(Device::current_pcie_link_gen),
        pcie_generation_max: from.read(Device::max_pcie_link_gen),
        pcie_width: from.read(Device::current_pcie_link_width),
        pcie_width_max: from.read(Device::max_pcie_link_width),
        pcie_received_bytes_per_s: pcie(from, PcieUtilCounter::Receive),
        pcie_sent_bytes_per_s: pcie(from, PcieUtilCounter::Send),
        throttle: from.read(Device::current_throttle_reasons).map(throttle),
        processes: processes.as_ref().map(|all| all.len() as u32),
        own_memory_bytes: processes.as_deref().and_then(own_memory),
        own_utilisation: own_utilisation(from),
        mig_enabled,
        mig: if mig_enabled == Some(true) { mig_devices(from) } else { Vec::new() },
        fault: None,
    }
}

/// What this process holds, summed: it is listed once for each MIG device that it uses.
fn own_memory(processes: &[ProcessInfo]) -> Option<u64> {
    let own = processes.iter().filter(|process| process.pid == std::process::id());
    own.filter_map(|process| match process.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    })
    .reduce(u64::saturating_add)
}

fn own_utilisation(from: &mut Readings<'_, '_>) -> Option<f64> {
    // The driver stamps its samples with microseconds since 1970.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let since = now.saturating_sub(FRESH).as_micros() as u64;
    let samples = from.read(|device| device.process_utilization_stats(since))?;
    let own = samples.iter().filter(|sample| sample.pid == std::process::id());
    // A sample above 100 % is one that the driver never filled.
    let newest =
        own.filter(|sample| sample.sm_util <= 100).max_by_key(|sample| sample.timestamp)?;
    Some(share(newest.sm_util))
}

fn mig_devices(from: &mut Readings<'_, '_>) -> Vec<MigDevice> {
    let places = from.read(Device::mig_device_count).unwrap_or(0);
    (0..places).filter_map(|index| mig_device(from, index)).collect()
}

/// The MIG device at a place of a card; `None` when the place is empty.
fn mig_device(from: &mut Readings<'_, '_>, index: u32) -> Option<MigDevice> {
    let found = from.read(|device| match device.mig_device_by_index(index) {
        Err(NvmlError::NotFound | NvmlError::InvalidArg) => Ok(None),
        Err(error) if ends_card(&error) || ends_driver(&error) => Err(error),
        other => Ok(Some(other)),
    })??;
    let device = match found {
        Ok(device) => device,
        Err(error) => {
            let fault = Some(format!("cannot be read: {error}"));
            return Some(MigDevice { index, fault, ..MigDevice::default() });
        }
    };
    let mut part = Readings { device: &device, end: None };
    let memory = part.read(Device::memory_info);
    let read = MigDevice {
        index,
        name: part.read(Device::name).unwrap_or_default(),
        uuid: part.read(Device::uuid).unwrap_or_default(),
        memory_used_bytes: memory.as_ref().map(|memory| memory.used),
        memory_total_bytes: memory.as_ref().map(|memory| memory.total),
        fault: None,
    };
    // A card that is lost is lost with all its parts.
    from.end = part.end;
    Some(read)
}

fn share(percent: u32) -> f64 {
    f64::from(percent) / 100.0
}

fn watts(milliwatts: u32) -> f64 {
    f64::from(milliwatts) / 1000.0
}
