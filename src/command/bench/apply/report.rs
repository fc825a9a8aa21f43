//! The report of `divvy bench apply`.

use std::fmt;

use serde::Serialize;

use super::changes::ChangeKind;
use super::timed_machine::PlacementCalls;
use super::windows::{WindowMetrics, WindowReport};
use crate::command::bench::report::{Setting, Table, median, quantile, ratio};
use crate::layout::{Budget, LoadSpec};
use crate::telemetry::{Applied, ChangeStages};

/// The report.
#[derive(Debug, Serialize)]
pub(super) struct ApplyReport {
    #[serde(flatten)]
    pub(super) setting: Setting,
    /// Pairs of a window without and one with changes.
    pub(super) rounds: u32,
    pub(super) window_ms: u64,
    pub(super) changes: u64,
    pub(super) refused: u64,
    pub(super) submitted: u64,
    pub(super) completed: u64,
    pub(super) rejected: u64,
    pub(super) timed_out: u64,
    pub(super) cancelled: u64,
    pub(super) failed: u64,
    /// Requests without an answer at the end; must be 0.
    pub(super) lost: u64,
    /// Time until in force, per kind of change.
    pub(super) force: Vec<ForceReport>,
    /// Times of the stages of `force`, per kind of change.
    pub(super) stages: Vec<StageReport>,
    pub(super) models: Vec<ModelReport>,
}

/// One change: its times in microseconds.
pub(super) struct ChangeTimes {
    force_us: f64,
    stages: ChangeStages,
    calls: PlacementCalls,
    /// From the call of `apply` until it returned.
    returned_us: f64,
}

impl ChangeTimes {
    pub(super) fn new(applied: &Applied, calls: PlacementCalls, returned_us: f64) -> Self {
        Self { force_us: applied.force_us as f64, stages: applied.stages, calls, returned_us }
    }
}

/// Time from `apply` until masks were read back and bounds were in force, in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct ForceReport {
    kind: &'static str,
    count: usize,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
}

/// Time of one stage of a kind of change, in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct StageReport {
    kind: &'static str,
    stage: &'static str,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    /// Mean over the slowest hundredth of the changes, by time until in force.
    tail_us: f64,
}

/// Effects on the requests of one model: medians over the windows, and the longest silence.
#[derive(Debug, Serialize)]
pub(super) struct ModelReport {
    model: String,
    load: String,
    p99_ms_without: f64,
    p99_ms_with: f64,
    per_s_without: f64,
    per_s_with: f64,
    silence_ms_without: f64,
    silence_ms_with: f64,
    /// The longest silence in a window with changes, as a multiple of the longest one without.
    silence_ratio: f64,
    /// The same for the median window.
    silence_ratio_median: f64,
}

/// Returns the duration of one stage of a change, in microseconds.
type StageTime = fn(&ChangeTimes) -> f64;

/// The stages, in order, and what is measured beside them.
const STAGES: [(&str, StageTime); 12] = [
    ("wait for the scheduler's thread", |change| change.stages.wait_us),
    ("plan", |change| change.stages.plan_us),
    ("models", |change| change.stages.models_us),
    ("lower bounds", |change| change.stages.bounds_us),
    ("masks", |change| change.stages.masks_us),
    ("nice values", |change| change.stages.nice_us),
    ("limits, raise bounds", |change| change.stages.limits_us),
    ("kernel: set masks, nice values", |change| change.calls.set_us),
    ("kernel: longest of these calls", |change| change.calls.longest_us),
    ("kernel: read back", |change| change.calls.read_us),
    ("number of set calls", |change| change.calls.calls as f64),
    ("until apply returned", |change| change.returned_us),
];

impl ForceReport {
    pub(super) fn new(kind: ChangeKind, changes: &[ChangeTimes]) -> Self {
        let times: Vec<f64> = changes.iter().map(|change| change.force_us).collect();
        Self {
            kind: kind.title(),
            count: times.len(),
            p50_us: median(&times),
            p99_us: quantile(&times, 0.99),
            max_us: quantile(&times, 1.0),
        }
    }
}

/// Returns the reports of all stages of a kind of change.
pub(super) fn stage_reports(kind: ChangeKind, changes: &[ChangeTimes]) -> Vec<StageReport> {
    let mut slowest: Vec<&ChangeTimes> = changes.iter().collect();
    slowest.sort_by(|a, b| b.force_us.total_cmp(&a.force_us));
    slowest.truncate(changes.len().div_ceil(100));
    let report = |(stage, of): (&'static str, fn(&ChangeTimes) -> f64)| {
        let times: Vec<f64> = changes.iter().map(of).collect();
        let tail: f64 = slowest.iter().map(|change| of(change)).sum();
        StageReport {
            kind: kind.title(),
            stage,
            p50_us: median(&times),
            p99_us: quantile(&times, 0.99),
            max_us: quantile(&times, 1.0),
            tail_us: ratio(tail, slowest.len() as f64),
        }
    };
    STAGES.into_iter().map(report).collect()
}

impl ModelReport {
    pub(super) fn new(row: &Budget, without: &[WindowReport], with: &[WindowReport]) -> Self {
        let of = |windows: &[WindowReport], metric: fn(&WindowMetrics) -> f64| -> Vec<f64> {
            windows.iter().filter_map(|window| window.get(&row.name)).map(metric).collect()
        };
        let silence = |windows| of(windows, |metrics| metrics.silence_ms);
        let longest = |windows| quantile(&silence(windows), 1.0);
        let p99 = |windows| median(&of(windows, |metrics| metrics.p99_ms));
        let rate = |windows| median(&of(windows, |metrics| metrics.per_s));
        Self {
            model: row.name.clone(),
            load: row.load.as_ref().map_or_else(String::new, LoadSpec::description),
            p99_ms_without: p99(without),
            p99_ms_with: p99(with),
            per_s_without: rate(without),
            per_s_with: rate(with),
            silence_ms_without: longest(without),
            silence_ms_with: longest(with),
            silence_ratio: ratio(longest(with), longest(without)),
            silence_ratio_median: ratio(median(&silence(with)), median(&silence(without))),
        }
    }
}

impl fmt::Display for ApplyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.setting.title())?;
        writeln!(
            f,
            "{} changes, {} refused; {} requests: {} completed, {} rejected, {} timed out, {} \
             failed, {} lost",
            self.changes,
            self.refused,
            self.submitted,
            self.completed,
            self.rejected,
            self.timed_out,
            self.failed,
            self.lost
        )?;
        let mut table = Table::new(&["in force after, us", "count", "p50", "p99", "max"]);
        for force in &self.force {
            table.row(vec![
                force.kind.to_owned(),
                force.count.to_string(),
                format!("{:.0}", force.p50_us),
                format!("{:.0}", force.p99_us),
                format!("{:.0}", force.max_us),
            ]);
        }
        writeln!(f, "{table}")?;
        let mut table = Table::new(&["stages of it, us", "", "p50", "p99", "max", "tail"]);
        for stage in &self.stages {
            table.row(vec![
                stage.kind.to_owned(),
                stage.stage.to_owned(),
                format!("{:.1}", stage.p50_us),
                format!("{:.1}", stage.p99_us),
                format!("{:.1}", stage.max_us),
                format!("{:.1}", stage.tail_us),
            ]);
        }
        writeln!(f, "{table}")?;
        let head = ["model", "load", "p99 ms", "with", "per s", "with", "silence ms", "with", "x"];
        let mut table = Table::new(&head);
        for model in &self.models {
            table.row(vec![
                model.model.clone(),
                model.load.clone(),
                format!("{:.1}", model.p99_ms_without),
                format!("{:.1}", model.p99_ms_with),
                format!("{:.1}", model.per_s_without),
                format!("{:.1}", model.per_s_with),
                format!("{:.1}", model.silence_ms_without),
                format!("{:.1}", model.silence_ms_with),
                format!("{:.2}", model.silence_ratio),
            ]);
        }
        write!(f, "{table}")
    }
}
