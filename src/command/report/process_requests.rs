//! The requests that a program reports itself, as cells of a table.

use super::figures::{NONE, millis, rate};
use crate::layout::Slo;
use crate::telemetry::ProcessView;

/// The cells of the requests that a program reports; [`NONE`] where it reports none.
pub(in crate::command) struct ProcessRequests {
    /// Requests per second.
    pub(in crate::command) per_s: String,
    /// Median latency in milliseconds.
    pub(in crate::command) p50: String,
    /// 99th percentile of the latency in milliseconds.
    pub(in crate::command) p99: String,
}

impl ProcessRequests {
    /// Returns the cells of a row of processes.
    pub(in crate::command) fn of(process: &ProcessView) -> Self {
        let requests = process.requests.as_ref();
        let none = || NONE.to_owned();
        let time = |micros: Option<f64>| micros.map_or_else(none, |us| millis(us as u64));
        Self {
            per_s: requests.and_then(|it| it.per_s).map_or_else(none, rate),
            p50: time(requests.and_then(|it| it.p50_us)),
            p99: time(requests.and_then(|it| it.p99_us)),
        }
    }
}

/// Formats the latency target of processes: the latency that the program reports at its percentile, and the
/// bound.
pub(super) fn process_slo(slo: Option<&Slo>, process: &ProcessView) -> String {
    let Some(slo) = slo else { return NONE.to_owned() };
    let bound = u64::try_from(slo.bound.as_micros()).unwrap_or(u64::MAX);
    let measured = process.requests.as_ref().and_then(|requests| requests.slo_us);
    match measured.map(|us| us as u64) {
        Some(measured) => {
            let word = if measured <= bound { "ok" } else { "MISS" };
            format!("p{} {}/{} {word}", slo.percentile, millis(measured), millis(bound))
        }
        None => format!("p{} -/{}", slo.percentile, millis(bound)),
    }
}
