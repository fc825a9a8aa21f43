//! The record of applied changes: who, what, how fast, and what it did to the latencies.

use super::change_stages::ChangeStages;
use serde::{Deserialize, Deserializer, Serialize};

use crate::layout::{Change, Plan};

/// Who asked for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// A person at the console.
    Console,
    /// A library call.
    Api,
    /// A layout file.
    File,
    /// Advice that was accepted.
    Advice,
    /// divvy itself: a build that failed and reverted its row, a machine that shrank.
    Scheduler,
}

/// What an applied change answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The entry's number in the journal.
    pub id: u64,
    /// The entry that it took back or did again, where it was an undo or a redo.
    pub of: Option<u64>,
    /// What it did.
    pub plan: Plan,
    /// From `apply` until masks were read back and bounds were in force, in microseconds. Builds
    /// in the background are not part of it.
    pub force_us: u64,
    /// Threads whose mask the kernel does not show as desired, in sentences. Empty: all in force.
    pub differences: Vec<String>,
    /// The stages of `force_us`.
    #[serde(default)]
    pub stages: ChangeStages,
}

/// One applied change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Rises by one with each entry.
    pub id: u64,
    /// Wall-clock time, milliseconds since 1970 in UTC.
    pub at_unix_ms: u64,
    /// Scheduler time, for marks in the history.
    pub uptime_us: u64,
    /// Who asked.
    pub author: Author,
    /// What was asked.
    pub change: Change,
    /// The plan's one line.
    pub summary: String,
    /// The plan's warnings.
    pub warnings: Vec<String>,
    /// The rows that it touched.
    pub models: Vec<String>,
    /// Until in force, in microseconds.
    pub force_us: u64,
    /// Whether an undo took it back.
    pub undone: bool,
    /// The entry that this one takes back, when it is an undo.
    pub undoes: Option<u64>,
    /// The entry that this one does again, when it is a redo.
    pub redoes: Option<u64>,
    /// What it did, for each touched model.
    pub verdicts: Vec<Verdict>,
}

impl JournalEntry {
    /// Whether an undo may go back over it: a change of its own, not undone, and not by divvy.
    pub fn can_be_undone(&self) -> bool {
        !self.undone
            && self.undoes.is_none()
            && self.redoes.is_none()
            && self.author != Author::Scheduler
    }
}

/// What a change did to one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The model.
    pub model: String,
    /// How far the comparison is.
    pub status: VerdictStatus,
    /// Completed requests in the window before.
    pub samples_before: u64,
    /// Completed requests in the window after.
    pub samples_after: u64,
    /// p50, p99, throughput, goodput; empty while the window is open.
    pub comparisons: Vec<Comparison>,
}

/// How far a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictStatus {
    /// The window after the change is still open.
    Open,
    /// Compared.
    Done,
    /// One of the windows had too few requests.
    NotEnough,
    /// Another change touched the model before the window was full.
    Superseded,
}

/// Which figure is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// One figure before and after.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Which.
    pub metric: Metric,
    /// Before the change.
    #[serde(deserialize_with = "number")]
    pub before: f64,
    /// After it.
    #[serde(deserialize_with = "number")]
    pub after: f64,
    /// Relative change, `after / before - 1`.
    #[serde(deserialize_with = "number")]
    pub change: f64,
    /// Lower end of the interval of the relative change.
    #[serde(deserialize_with = "number")]
    pub low: f64,
    /// Upper end of it.
    #[serde(deserialize_with = "number")]
    pub high: f64,
    /// Whether the interval leaves zero out.
    pub clear: bool,
}

/// JSON has no infinities: it holds `null` for an interval without an end.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}
