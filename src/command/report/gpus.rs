//! The GPUs of a summary: one line per GPU, and one per model on a GPU.

use std::fmt::Write as _;

use crate::telemetry::Snapshot;

/// Returns the GPU lines; empty if there is no GPU and no model runs on one.
pub(super) fn lines(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let or_unknown = |value: Option<String>| value.unwrap_or_else(|| "?".to_owned());
    let size = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    for gpu in &snapshot.gpu.devices {
        let state = gpu.fault.clone().unwrap_or_else(|| {
            format!(
                "use {} %, memory {} of {}, {} W, {} degrees C",
                or_unknown(gpu.utilisation.map(|share| format!("{:.0}", share * 100.0))),
                or_unknown(gpu.memory_used_bytes.map(size)),
                or_unknown(gpu.memory_total_bytes.map(size)),
                or_unknown(gpu.power_w.map(|watts| format!("{watts:.0}"))),
                or_unknown(gpu.temperature_c.map(|degrees| degrees.to_string())),
            )
        });
        // writing to a string cannot fail
        let _ = writeln!(text, "GPU {} {}: {state}", gpu.index, gpu.name);
    }
    for model in &snapshot.models {
        let Some(gpu) = &model.row.budget.gpu else { continue };
        let limit = model.row.budget.gpu_memory.map_or("no limit".to_owned(), |to| to.to_string());
        let used = or_unknown(model.memory.gpu.map(size));
        let name = &model.row.budget.name;
        let _ = writeln!(text, "{name} on {}: uses {used}, limit {limit}", gpu.title());
    }
    text
}
