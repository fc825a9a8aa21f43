//! A GPU on the machine screen: each reading with its last minute, then the driver's other details.

use crate::console::format;
use crate::console::state::{ConsoleState, GpuHistoryPoint};
use crate::telemetry::GpuDevice;
use crate::telemetry::gpu::details;

/// Columns of a reading.
const READING: usize = 20;

/// Columns of the graph of the last minute.
const TREND: usize = 30;

/// A reading's name, its value now, and its share of the maximum at an earlier moment.
type Reading = (&'static str, String, fn(&GpuHistoryPoint) -> f64);

/// Returns the lines below a GPU's heading.
pub(super) fn lines(state: &ConsoleState, gpu: &GpuDevice) -> Vec<String> {
    if let Some(fault) = &gpu.fault {
        return vec![format!("  {fault}")];
    }
    let unknown = || "?".to_owned();
    let whole = |value: Option<f64>| value.map_or_else(unknown, |value| format!("{value:.0}"));
    let bytes = |bytes: Option<u64>| bytes.map_or_else(unknown, format::bytes);
    let readings: [Reading; 4] = [
        ("use", format!("{}%", gpu.utilisation.map_or_else(unknown, format::percent)), |moment| {
            moment.utilisation
        }),
        (
            "memory",
            format!("{}/{}", bytes(gpu.memory_used_bytes), bytes(gpu.memory_total_bytes)),
            |moment| moment.memory,
        ),
        ("power", format!("{} of {} W", whole(gpu.power_w), whole(gpu.power_limit_w)), |moment| {
            moment.power
        }),
        ("temp", format!("{} °C", whole(gpu.temperature_c.map(f64::from))), |moment| moment.heat),
    ];
    let line = |(name, now, reading): Reading| {
        let trend = state.glyphs.trend(&state.history.gpu(gpu.index, reading), TREND);
        format!("  {name:<8}{now:<READING$}{trend}")
    };
    let parts = gpu.mig.iter().map(|part| {
        let used = bytes(part.memory_used_bytes);
        let words = part.fault.clone();
        let words = words.unwrap_or_else(|| format!("{used}/{}", bytes(part.memory_total_bytes)));
        format!("  MIG {} {}: {words}", part.index, part.name)
    });
    let more = details(gpu).into_iter().map(|line| format!("  {line}"));
    readings.into_iter().map(line).chain(parts).chain(more).collect()
}
