//! The GPUs of a report: a line a card, and one for each model on it. Empty where there is neither.

use std::fmt::Write as _;

use crate::telemetry::Snapshot;

/// The lines.
pub(super) fn lines(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let or = |figure: Option<String>| figure.unwrap_or_else(|| "?".to_owned());
    let size = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    for card in &snapshot.gpu.cards {
        let state = card.fault.clone().unwrap_or_else(|| {
            format!(
                "use {} %, memory {} of {}, {} W, {} degrees C",
                or(card.utilisation.map(|share| format!("{:.0}", share * 100.0))),
                or(card.memory_used_bytes.map(size)),
                or(card.memory_total_bytes.map(size)),
                or(card.power_w.map(|watts| format!("{watts:.0}"))),
                or(card.temperature_c.map(|degrees| degrees.to_string())),
            )
        });
        // writing to a string cannot fail
        let _ = writeln!(text, "GPU {} {}: {state}", card.index, card.name);
    }
    for model in &snapshot.models {
        let Some(gpu) = &model.row.budget.gpu else { continue };
        let limit = model.row.budget.gpu_memory.map_or("no limit".to_owned(), |to| to.to_string());
        let held = or(model.memory.gpu.map(size));
        let name = &model.row.budget.name;
        let _ = writeln!(text, "{name} on {}: holds {held} there, limit {limit}", gpu.title());
    }
    text
}
