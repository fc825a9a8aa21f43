//! The GPUs of the map: one line per GPU with its details, one per MIG device, or the reason why there
//! is none.

use crate::layout::Bytes;
use crate::telemetry::gpu::details;
use crate::telemetry::{GpuDevice, GpuView, MigDevice};

/// Returns the lines, without their head.
pub(super) fn lines(view: &GpuView) -> Vec<String> {
    let mut lines = Vec::new();
    for gpu in &view.devices {
        lines.push(self::gpu(gpu));
        if gpu.fault.is_none() {
            lines.extend(details(gpu).into_iter().map(|line| format!("  {line}")));
        }
        lines.extend(gpu.mig.iter().map(|part| mig(gpu.index, part)));
    }
    if let Some(note) = &view.note {
        lines.push(match &view.reason {
            Some(reason) => format!("{note} ({reason})"),
            None => note.clone(),
        });
    }
    if let Some(driver) = &view.driver {
        let cuda = view.cuda.as_ref().map(|cuda| format!(", CUDA up to {cuda}"));
        lines.push(format!("driver {driver}{}", cuda.unwrap_or_default()));
    }
    lines.extend(view.slow.clone());
    lines
}

fn gpu(gpu: &GpuDevice) -> String {
    let index = gpu.index;
    if let Some(fault) = &gpu.fault {
        return if gpu.name.is_empty() {
            format!("{index}: {fault}")
        } else {
            format!("{index} {}: {fault}", gpu.name)
        };
    }
    part(&index.to_string(), &gpu.name, gpu.memory_total_bytes, &gpu.uuid)
}

fn mig(gpu: u32, device: &MigDevice) -> String {
    let index = format!("{gpu}.{}", device.index);
    match &device.fault {
        Some(fault) => format!("{index}: {fault}"),
        None => part(&index, &device.name, device.memory_total_bytes, &device.uuid),
    }
}

fn part(index: &str, name: &str, memory: Option<u64>, uuid: &str) -> String {
    let memory = memory.map(|total| format!("{}, ", Bytes(total).rounded())).unwrap_or_default();
    format!("{index} {name}, {memory}{uuid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gpu_part_has_a_line() {
        let part = MigDevice {
            index: 2,
            name: "X MIG 3g.40gb".to_owned(),
            uuid: "MIG-1".to_owned(),
            memory_total_bytes: Some(40 << 30),
            ..MigDevice::default()
        };
        let whole = GpuDevice {
            index: 0,
            name: "X".to_owned(),
            uuid: "GPU-1".to_owned(),
            memory_total_bytes: Some(80 << 30),
            sm_clock_mhz: Some(1980),
            mig: vec![part],
            ..GpuDevice::default()
        };
        let lost =
            GpuDevice { index: 1, fault: Some("is lost".to_owned()), ..GpuDevice::default() };
        let view = GpuView {
            devices: vec![whole, lost],
            driver: Some("580.82".to_owned()),
            cuda: Some("13.0".to_owned()),
            ..GpuView::default()
        };
        assert_eq!(
            lines(&view),
            [
                "0 X, 80.0 GiB, GPU-1",
                "  processors at 1980 MHz",
                "0.2 X MIG 3g.40gb, 40.0 GiB, MIG-1",
                "1: is lost",
                "driver 580.82, CUDA up to 13.0",
            ]
        );
    }
}
