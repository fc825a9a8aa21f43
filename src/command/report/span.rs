//! The span of one report: the time between two snapshots, and each model's requests in it.
//!
//! Spans adjoin: each begins with the snapshot that ended the one before, so every request is
//! counted in exactly one span, also when a snapshot is late.

use std::time::Duration;

use serde::Serialize;

use crate::telemetry::{Distribution, ModelView, RequestCounts, ServedModelView, Snapshot};

/// The time between two snapshots.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReportSpan {
    /// Begin, in microseconds since the start of the run.
    pub from_us: u64,
    /// End, in microseconds since the start of the run.
    pub to_us: u64,
    /// The models, in the order of the snapshot.
    pub models: Vec<ModelSpan>,
}

/// The requests of a model in a span.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelSpan {
    /// Name of the model.
    pub model: String,
    /// Completed requests.
    pub completed: u64,
    /// Rejected, timed out, cancelled or failed requests.
    pub lost: u64,
    /// Completed requests per second.
    pub completed_per_s: f64,
    /// Requests from clients of the server; `None` without a server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<OutsideSpan>,
    /// Total latency of the completed requests.
    pub latency: Distribution,
}

/// The requests from clients of the server in a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutsideSpan {
    /// Requests answered with tensors.
    pub answered: u64,
    /// Requests that ended otherwise.
    pub refused: u64,
}

impl ReportSpan {
    /// The span from `before` to `now`; from the start of the run without `before`.
    pub fn between(before: Option<&Snapshot>, now: &Snapshot) -> Self {
        let from_us = before.map_or(0, |before| before.uptime_us);
        let seconds = now.uptime_us.saturating_sub(from_us) as f64 / 1e6;
        let models = now.models.iter().map(|model| {
            let earlier = before.and_then(|before| same_model(before, model));
            let mut span = ModelSpan::between(earlier, model, seconds);
            let served = |snapshot| OutsideSpan::until(snapshot, &span.model);
            span.outside = served(now).map(|now| now.since(before.and_then(served)));
            span
        });
        Self { from_us, to_us: now.uptime_us, models: models.collect() }
    }
}

impl OutsideSpan {
    /// Returns the requests from the start to a snapshot; `None` without a server.
    fn until(snapshot: &Snapshot, model: &str) -> Option<Self> {
        let served = snapshot.server.as_ref()?.model(model);
        let counts = |served: &ServedModelView| Self {
            answered: served.answered,
            refused: served.refused_count(),
        };
        Some(served.map(counts).unwrap_or_default())
    }

    fn since(self, before: Option<Self>) -> Self {
        let before = before.unwrap_or_default();
        Self {
            answered: self.answered.saturating_sub(before.answered),
            refused: self.refused.saturating_sub(before.refused),
        }
    }
}

impl ModelSpan {
    fn between(before: Option<&ModelView>, now: &ModelView, seconds: f64) -> Self {
        let counted = |count: fn(&RequestCounts) -> u64| {
            let earlier = before.map_or(0, |before| count(&before.counts));
            count(&now.counts).saturating_sub(earlier)
        };
        let completed = counted(|counts| counts.completed);
        let earlier = before.map(|before| before.latencies.clone()).unwrap_or_default();
        Self {
            model: now.row.budget.name.clone(),
            completed,
            lost: counted(|counts| {
                counts.rejected + counts.timed_out + counts.cancelled + counts.failed
            }),
            completed_per_s: if seconds > 0.0 { completed as f64 / seconds } else { 0.0 },
            outside: None,
            latency: now.latencies.since(&earlier),
        }
    }
}

/// Returns the view of the same model in an earlier snapshot; `None` if the model was added since, or
/// loaded again, which restarts its counts.
fn same_model<'a>(before: &'a Snapshot, now: &ModelView) -> Option<&'a ModelView> {
    let earlier =
        before.models.iter().find(|model| model.row.budget.name == now.row.budget.name)?;
    (earlier.counts.submitted <= now.counts.submitted).then_some(earlier)
}

/// The times at which reports are due, in microseconds since the start.
#[allow(clippy::struct_field_names)]
pub(super) struct ReportSchedule {
    interval_us: u64,
    next_us: u64,
    /// End of the run; the closing report covers what is left before it.
    end_us: Option<u64>,
}

impl ReportSchedule {
    /// A report each `interval` after `start_us`, in microseconds of uptime, until `duration` later.
    pub(super) fn new(start_us: u64, interval: Duration, duration: Option<Duration>) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let interval_us = micros(interval).max(1);
        let end_us = duration.map(|duration| start_us.saturating_add(micros(duration)));
        Self { interval_us, next_us: start_us.saturating_add(interval_us), end_us }
    }

    /// Returns true if a report is due at this uptime, and then schedules the next one. A snapshot
    /// may be early by a tenth of the interval. One that is late is reported once: its span is longer.
    pub(super) fn is_due(&mut self, uptime_us: u64) -> bool {
        let reached = uptime_us.saturating_add(self.interval_us / 10);
        if reached < self.next_us {
            return false;
        }
        let intervals = (reached - self.next_us) / self.interval_us + 1;
        self.next_us = self.next_us.saturating_add(intervals.saturating_mul(self.interval_us));
        self.end_us.is_none_or(|end| reached < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn schedule(duration: Option<u64>) -> ReportSchedule {
        let duration = duration.map(Duration::from_secs);
        ReportSchedule::new(SECOND / 2, Duration::from_secs(1), duration)
    }

    #[test]
    fn each_interval_is_reported_once() {
        let mut schedule = schedule(None);
        let due: Vec<bool> = [0.6, 1.45, 1.55, 2.52, 2.6, 3.4, 3.5]
            .iter()
            .map(|seconds| schedule.is_due((seconds * 1e6) as u64))
            .collect();
        assert_eq!(due, [false, true, false, true, false, true, false]);
    }

    #[test]
    fn late_snapshot_is_reported_once() {
        let mut schedule = schedule(None);
        assert!(schedule.is_due(4 * SECOND));
        assert!(!schedule.is_due(4 * SECOND + SECOND / 4));
        assert!(schedule.is_due(4 * SECOND + SECOND / 2));
    }

    #[test]
    fn end_is_left_to_the_closing_report() {
        let mut schedule = schedule(Some(2));
        assert!(schedule.is_due(SECOND + SECOND / 2));
        assert!(!schedule.is_due(2 * SECOND + SECOND / 2));
    }
}
