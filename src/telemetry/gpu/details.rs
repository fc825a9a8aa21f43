//! Text for a GPU's secondary metrics: clocks, `PCIe` link, processes and throttling. Omits metrics
//! that the driver does not report.

use crate::layout::Bytes;
use crate::telemetry::GpuDevice;

/// Returns one line per group of metrics. Empty if no metric is known.
pub fn details(gpu: &GpuDevice) -> Vec<String> {
    let groups = [clocks(gpu), link(gpu), processes(gpu), throttling(gpu)];
    groups.into_iter().filter(|words| !words.is_empty()).map(|words| words.join(", ")).collect()
}

fn clocks(gpu: &GpuDevice) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(gpu.sm_clock_mhz.map(|mhz| format!("processors at {mhz} MHz")));
    words.extend(gpu.memory_clock_mhz.map(|mhz| format!("memory at {mhz} MHz")));
    let busy =
        gpu.memory_busy.map(|share| format!("read or written {:.0}% of the time", share * 100.0));
    words.extend(busy);
    words
}

fn link(gpu: &GpuDevice) -> Vec<String> {
    let lanes = |generation: Option<u32>, width: Option<u32>| match (generation, width) {
        (Some(generation), Some(width)) => Some(format!("{generation} x{width}")),
        (Some(generation), None) => Some(generation.to_string()),
        (None, Some(width)) => Some(format!("x{width}")),
        (None, None) => None,
    };
    let mut words = Vec::new();
    if let Some(now) = lanes(gpu.pcie_generation, gpu.pcie_width) {
        let max = lanes(gpu.pcie_generation_max, gpu.pcie_width_max);
        // an idle link runs at a lower generation, so show its maximum too
        let limit = max.filter(|max| *max != now).map(|max| format!(" (up to {max})"));
        words.push(format!("PCIe {now}{}", limit.unwrap_or_default()));
    }
    let rate = |bytes: u64| format!("{:.1} MB/s", bytes as f64 / 1e6);
    words.extend(gpu.pcie_received_bytes_per_s.map(|bytes| format!("{} to the GPU", rate(bytes))));
    words.extend(gpu.pcie_sent_bytes_per_s.map(|bytes| format!("{} from it", rate(bytes))));
    words
}

fn processes(gpu: &GpuDevice) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(gpu.processes.map(|count| match count {
        0 => "no process computes on it".to_owned(),
        1 => "1 process computes on it".to_owned(),
        count => format!("{count} processes compute on it"),
    }));
    let held = gpu.own_memory_bytes.map(|bytes| Bytes(bytes).rounded());
    words.extend(held.map(|held| format!("this one holds {held}")));
    let share = gpu.own_utilisation.map(|share| format!("this one uses {:.0}%", share * 100.0));
    words.extend(share);
    words
}

fn throttling(gpu: &GpuDevice) -> Vec<String> {
    let reasons: Vec<&str> = gpu.throttle.iter().flatten().map(String::as_str).collect();
    if reasons.is_empty() {
        return Vec::new();
    }
    vec![format!("slowed by: {}", reasons.join(", "))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_omit_unknown_metrics() {
        let gpu = GpuDevice {
            sm_clock_mhz: Some(1410),
            memory_clock_mhz: Some(6251),
            memory_busy: Some(0.41),
            pcie_generation: Some(1),
            pcie_generation_max: Some(4),
            pcie_width: Some(8),
            pcie_width_max: Some(8),
            pcie_received_bytes_per_s: Some(12_300_000),
            pcie_sent_bytes_per_s: Some(0),
            processes: Some(2),
            own_memory_bytes: Some(3 << 19),
            own_utilisation: Some(0.4),
            throttle: Some(vec!["power limit".to_owned(), "too hot".to_owned()]),
            ..GpuDevice::default()
        };
        assert_eq!(
            details(&gpu),
            [
                "processors at 1410 MHz, memory at 6251 MHz, read or written 41% of the time",
                "PCIe 1 x8 (up to 4 x8), 12.3 MB/s to the GPU, 0.0 MB/s from it",
                "2 processes compute on it, this one holds 1.5 MiB, this one uses 40%",
                "slowed by: power limit, too hot",
            ]
        );
        let width_only =
            GpuDevice { pcie_width: Some(16), throttle: Some(vec![]), ..GpuDevice::default() };
        assert_eq!(details(&width_only), ["PCIe x16"]);
        assert!(details(&GpuDevice::default()).is_empty());
    }
}
