//! Formats the cells of a report: a fixed number of significant digits, with the unit in the column's
//! title or behind the number.

use crate::engine::EngineMemory;
use crate::layout::{Bytes, Slo};
use crate::telemetry::{Distribution, ModelState, ModelView, Window};

/// The cell of a missing value.
pub(super) const NONE: &str = "-";

/// Formats microseconds as milliseconds with three significant digits.
pub(super) fn millis(micros: u64) -> String {
    let value = micros as f64 / 1e3;
    match micros {
        0..10_000 => format!("{value:.2}"),
        10_000..100_000 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Formats a percentile in milliseconds; none without samples.
pub(super) fn percentile(window: &Distribution, micros: u64) -> String {
    if window.count == 0 { NONE.to_owned() } else { millis(micros) }
}

/// Formats a rate of requests per second.
pub(super) fn rate(per_second: f64) -> String {
    if per_second < 1000.0 { format!("{per_second:.1}") } else { format!("{per_second:.0}") }
}

/// Formats a share of one as a percentage.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), |share| format!("{:.1}%", share * 100.0))
}

/// Formats rounded bytes in the largest binary unit below them.
pub(super) fn size(bytes: u64) -> String {
    Bytes(bytes).rounded().replace(' ', "")
}

/// Formats the memory of a model, with "+" if the engine cannot count its arenas.
fn memory(memory: &EngineMemory) -> String {
    match memory.arena {
        Some(_) => size(memory.total()),
        None => format!("{}+", size(memory.total())),
    }
}

/// Formats the state of a row.
pub(super) fn state(model: &ModelView) -> String {
    if let Some(process) = &model.process {
        return process.state.name().to_owned();
    }
    match &model.state {
        ModelState::Loading => "loading".to_owned(),
        ModelState::Running => "running".to_owned(),
        ModelState::Warming { ready, total } => format!("building {ready} of {total}"),
        ModelState::Paused => "paused".to_owned(),
        ModelState::Failed { .. } => "failed".to_owned(),
        ModelState::Absent => "absent".to_owned(),
        ModelState::Draining => "draining".to_owned(),
    }
}

/// Formats the desired instances and threads, and the active instances if they differ; of a process row, the
/// number of processes and of their threads.
pub(super) fn instances(model: &ModelView) -> String {
    if let Some(process) = &model.process {
        return format!("{}p {}t", process.process_count, process.thread_count);
    }
    let (wanted, threads) = (model.row.concurrency, model.row.threads);
    if model.actual.active == wanted {
        format!("{wanted}x{threads}")
    } else {
        format!("{wanted}x{threads} ({} on)", model.actual.active)
    }
}

/// Formats the CPU set; "none" for an empty one, and "any" for processes without a budget of cores.
pub(super) fn cores(model: &ModelView) -> String {
    match (model.row.cores.is_empty(), &model.process) {
        (false, _) => model.row.cores.to_string(),
        (true, Some(_)) => "any".to_owned(),
        (true, None) => "none".to_owned(),
    }
}

/// Formats the memory of a row: that of a model as [`memory`], and the resident memory of processes.
pub(super) fn row_memory(model: &ModelView) -> String {
    match &model.process {
        Some(process) if process.process_count > 0 => size(process.rss_bytes),
        Some(_) => NONE.to_owned(),
        None => memory(&model.memory),
    }
}

/// Formats the built-in load; marks guessed sizes of its requests. Without a load, marks a model that was
/// not tried.
pub(super) fn load(model: &ModelView) -> String {
    let Some(load) = &model.load else {
        return if model.untried.is_some() { "not tried" } else { NONE }.to_owned();
    };
    let guessed = if model.guessed_dims.is_empty() { "" } else { ", sizes guessed" };
    format!("synthetic: {load}{guessed}")
}

/// Formats the SLO: its percentile as measured and its bound, and whether the bound is met.
pub(super) fn slo(slo: Option<&Slo>, window: &Window) -> String {
    let Some(slo) = slo else { return NONE.to_owned() };
    let bound = u64::try_from(slo.bound.as_micros()).unwrap_or(u64::MAX);
    match window.slo_us {
        Some(measured) if window.total.count > 0 => {
            let word = if measured <= bound { "ok" } else { "MISS" };
            format!("p{} {}/{} {word}", slo.percentile, millis(measured), millis(bound))
        }
        _ => format!("p{} -/{}", slo.percentile, millis(bound)),
    }
}

/// Formats a whole number with separated thousands.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_three_significant_digits() {
        assert_eq!(millis(0), "0.00");
        assert_eq!(millis(850), "0.85");
        assert_eq!(millis(14_260), "14.3");
        assert_eq!(millis(1_234_567), "1235");
        assert_eq!(rate(0.25), "0.2");
        assert_eq!(rate(12_345.6), "12346");
    }

    #[test]
    fn sizes_use_the_largest_unit() {
        assert_eq!(size(0), "0B");
        assert_eq!(size(1023), "1023B");
        assert_eq!(size(1024), "1.0KiB");
        assert_eq!(size((1 << 20) - 1), "1.0MiB");
        assert_eq!(size(84 << 20), "84.0MiB");
        assert_eq!(size(u64::MAX), "16777216.0TiB");
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(count(7), "7");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
    }
}
