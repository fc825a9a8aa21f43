//! Applied changes and their verdicts, as the journal records them.

use super::author::Author;
use super::change_stages::ChangeStages;
use super::change_status::ChangeStatus;
use super::state_version::StateVersion;
use serde::{Deserialize, Deserializer, Serialize};

use crate::layout::{Change, Plan};

/// The result of applying a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Applied {
    /// The entry's number in the journal.
    pub id: u64,
    /// The entry that it undid or redid, if it was an undo or a redo.
    #[serde(rename = "reverses", alias = "of")]
    pub of: Option<u64>,
    /// The plan that was carried out.
    pub plan: Plan,
    /// Time from `apply` until masks were verified and bounds were in force, in microseconds.
    /// Excludes background builds.
    #[serde(rename = "in_force_us", alias = "force_us")]
    pub force_us: u64,
    /// One message per thread whose mask is not as desired. Empty if everything is in force.
    pub differences: Vec<String>,
    /// The stages of `force_us`.
    #[serde(default)]
    pub stages: ChangeStages,
    /// The version of the state after it.
    #[serde(default)]
    pub version: StateVersion,
    /// Its status when `apply` returned. The journal's entry has the later ones.
    #[serde(default)]
    pub status: ChangeStatus,
}

/// One applied change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct JournalEntry {
    /// Increases by one per entry.
    pub id: u64,
    /// Wall-clock time, milliseconds since 1970 in UTC.
    pub at_unix_ms: u64,
    /// Time since the scheduler started; places the entry on the time axis.
    pub uptime_us: u64,
    /// Its author.
    pub author: Author,
    /// The change.
    pub change: Change,
    /// The plan's summary, one line.
    pub summary: String,
    /// The plan's warnings.
    pub warnings: Vec<String>,
    /// The models that it affected.
    pub models: Vec<String>,
    /// Time until masks were verified and bounds were in force, in microseconds. Excludes builds.
    #[serde(rename = "in_force_us", alias = "force_us")]
    pub force_us: u64,
    /// Its status.
    #[serde(default)]
    pub status: ChangeStatus,
    /// Time until the instances that were built for it served, in microseconds; `None` if none were
    /// built or they do not serve yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_us: Option<u64>,
    /// True if an undo reversed it.
    pub undone: bool,
    /// The entry that this one undoes, if it is an undo.
    pub undoes: Option<u64>,
    /// The entry that this one redoes, if it is a redo.
    pub redoes: Option<u64>,
    /// One verdict per affected model.
    pub verdicts: Vec<Verdict>,
}

impl JournalEntry {
    /// Returns true if an undo can reverse it: an ordinary change that is not undone and not by divvy.
    pub fn can_be_undone(&self) -> bool {
        !self.undone
            && self.undoes.is_none()
            && self.redoes.is_none()
            && self.author != Author::Scheduler
    }
}

/// The effect of a change on one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verdict {
    /// The model.
    pub model: String,
    /// The state of the comparison.
    pub status: VerdictStatus,
    /// Completed requests in the window before, or seconds of a process row.
    pub samples_before: u64,
    /// Completed requests in the window after, or seconds of a process row.
    pub samples_after: u64,
    /// The kind of the samples.
    #[serde(default)]
    pub counted: SampleKind,
    /// Comparisons of p50, p99, throughput and goodput, or of a process row's CPU time, waiting, throughput
    /// and mean latency; empty while the window is open.
    pub comparisons: Vec<Comparison>,
}

/// The samples that a verdict compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SampleKind {
    /// Completed requests of a model.
    #[default]
    Requests,
    /// Seconds of a process row.
    Seconds,
}

/// The state of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum VerdictStatus {
    /// The window after the change is still open.
    Open,
    /// The windows have been compared.
    Done,
    /// A window had too few requests.
    NotEnough,
    /// Another change affected the model before the window was full.
    Superseded,
}

/// A compared metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Median total latency, microseconds.
    P50,
    /// 99th percentile of total latency, microseconds.
    P99,
    /// Completed requests per second.
    Throughput,
    /// Requests per second that met the SLO.
    Goodput,
    /// Mean latency that a process reports, microseconds.
    Mean,
    /// CPU time of a process row, cores.
    Cpu,
    /// Time that threads of a process row waited for a CPU, cores.
    Wait,
}

/// One metric before and after a change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Comparison {
    /// The metric.
    pub metric: Metric,
    /// Its value before the change.
    #[serde(deserialize_with = "number")]
    pub before: f64,
    /// Its value after the change.
    #[serde(deserialize_with = "number")]
    pub after: f64,
    /// Relative change, `after / before - 1`.
    #[serde(deserialize_with = "number")]
    pub change: f64,
    /// Lower end of the interval of the relative change.
    #[serde(deserialize_with = "number")]
    pub low: f64,
    /// Upper end of that interval.
    #[serde(deserialize_with = "number")]
    pub high: f64,
    /// True if the interval excludes zero.
    pub clear: bool,
}

/// Reads a number or `null`, which JSON has in place of an infinity: the end of an unbounded interval.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}
