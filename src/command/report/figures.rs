//! How figures are written in a report: a fixed number of digits that matter, the unit in the
//! column's title or behind the number.

use crate::engine::EngineMemory;
use crate::layout::{Bytes, Slo};
use crate::telemetry::{Distribution, ModelState, ModelView, Window};

/// What stands where there is nothing to say.
pub(super) const NONE: &str = "-";

/// Microseconds as milliseconds, three digits that matter.
pub(super) fn millis(micros: u64) -> String {
    let value = micros as f64 / 1e3;
    match micros {
        0..10_000 => format!("{value:.2}"),
        10_000..100_000 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A percentile of a window in milliseconds; nothing without samples.
pub(super) fn percentile(window: &Distribution, micros: u64) -> String {
    if window.count == 0 { NONE.to_owned() } else { millis(micros) }
}

/// Requests per second.
pub(super) fn rate(per_second: f64) -> String {
    if per_second < 1000.0 { format!("{per_second:.1}") } else { format!("{per_second:.0}") }
}

/// A share of one as per cent.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), |share| format!("{:.1}%", share * 100.0))
}

/// Bytes, rounded, in the largest binary unit below them.
pub(super) fn size(bytes: u64) -> String {
    Bytes(bytes).rounded().replace(' ', "")
}

/// What an engine holds for a model; "+" where it cannot tell the part of its arenas.
pub(super) fn memory(memory: &EngineMemory) -> String {
    match memory.arena {
        Some(_) => size(memory.total()),
        None => format!("{}+", size(memory.total())),
    }
}

/// A model's state in a word or two.
pub(super) fn state(state: &ModelState) -> String {
    match state {
        ModelState::Loading => "loading".to_owned(),
        ModelState::Running => "running".to_owned(),
        ModelState::Warming { ready, total } => format!("warming {ready}/{total}"),
        ModelState::Paused => "paused".to_owned(),
        ModelState::Failed { .. } => "failed".to_owned(),
        ModelState::Draining => "draining".to_owned(),
    }
}

/// Instances by threads, as desired; the actual number behind it where it differs.
pub(super) fn instances(model: &ModelView) -> String {
    let (wanted, threads) = (model.row.concurrency, model.row.threads);
    if model.actual.active == wanted {
        format!("{wanted}x{threads}")
    } else {
        format!("{wanted}x{threads} ({} on)", model.actual.active)
    }
}

/// The CPU set, or that there is none.
pub(super) fn cores(model: &ModelView) -> String {
    if model.row.cores.is_empty() { "none".to_owned() } else { model.row.cores.to_string() }
}

/// The built-in load, marked as such.
pub(super) fn load(model: &ModelView) -> String {
    model.load.as_ref().map_or_else(|| NONE.to_owned(), |words| format!("synthetic: {words}"))
}

/// The target, and whether the window met it: its own percentile, measured and wanted.
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

/// A whole number with thousands set apart.
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
    fn figures_keep_three_digits_that_matter() {
        assert_eq!(millis(0), "0.00");
        assert_eq!(millis(850), "0.85");
        assert_eq!(millis(14_260), "14.3");
        assert_eq!(millis(1_234_567), "1235");
        assert_eq!(rate(0.25), "0.2");
        assert_eq!(rate(12_345.6), "12346");
    }

    #[test]
    fn sizes_never_show_a_thousand_and_twenty_four() {
        assert_eq!(size(0), "0B");
        assert_eq!(size(1023), "1023B");
        assert_eq!(size(1024), "1.0KiB");
        assert_eq!(size((1 << 20) - 1), "1.0MiB");
        assert_eq!(size(84 << 20), "84.0MiB");
        assert_eq!(size(u64::MAX), "16777216.0TiB");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(count(7), "7");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
    }
}
