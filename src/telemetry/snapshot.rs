//! The state of the whole program at one instant, as plain owned data. The console draws it and
//! `--json` prints it.
//!
//! Units are in the names: `_us` microseconds, `_bytes` bytes, `_per_s` per second. Shares are 0 to 1
//! of one core unless stated otherwise.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::change_counts::ChangeCounts;
use super::core_view::CoreView;
use super::gpu_view::GpuView;
use super::journal::JournalEntry;
use super::loan_view::LoanView;
use super::memory::MemoryTable;
use super::model_view::ModelView;
use super::process_view::OtherProcesses;
use super::server_view::ServerView;
use super::state_version::StateVersion;
use crate::layout::Ledger;
use crate::machine::MemoryUse;

/// The state of the whole program at one instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Snapshot {
    /// Version of this format. It increases when a field changes its name or meaning. Recordings of
    /// all versions can be read; version 1 had other names.
    pub version: u32,
    /// Increases by one per snapshot.
    pub sequence: u64,
    /// The version of the state that it shows.
    #[serde(default)]
    pub state_version: StateVersion,
    /// Wall-clock time, milliseconds since 1970 in UTC.
    pub at_unix_ms: u64,
    /// Time since the scheduler started.
    pub uptime_us: u64,
    /// Length of the interval that current metrics (busy, CPU, wait) cover.
    pub interval_us: u64,
    /// The machine's CPUs.
    pub cores: Vec<CoreView>,
    /// Allotted, free and oversubscribed cores.
    pub ledger: Ledger,
    /// Memory of the machine and the process.
    pub memory: MemoryUse,
    /// The process's memory by what holds it.
    #[serde(default)]
    pub memory_table: MemoryTable,
    /// CPU time of the whole process during the interval, in cores.
    #[serde(rename = "process_cpu_cores", alias = "process_cpu")]
    pub process_cpu: f64,
    /// The models, in layout order.
    pub models: Vec<ModelView>,
    /// The loans of cores in force, oldest first. Owners of cores are those of the layout.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loans: Vec<LoanView>,
    /// The GPUs.
    #[serde(rename = "gpus", alias = "gpu")]
    pub gpu: GpuView,
    /// The processes that belong to no row; `None` if they are not observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<Arc<OtherProcesses>>,
    /// The clients of the server; `None` without a server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Arc<ServerView>>,
    /// The newest changes, newest last; at most 64.
    #[serde(default)]
    pub changes: Vec<Arc<JournalEntry>>,
    /// Ended changes and closed verdicts since the start.
    #[serde(default)]
    pub change_counts: ChangeCounts,
    /// Times in which the process was stopped, oldest first; no other time includes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<StopView>,
    /// True if the machine is simulated.
    pub simulated: bool,
    /// Messages for the operator: what is wrong, and why.
    pub alerts: Vec<Alert>,
}

/// A time in which the process was stopped, as by Ctrl-Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StopView {
    /// When it was stopped, as time since the scheduler started.
    pub uptime_us: u64,
    /// For how long.
    pub length_us: u64,
}

/// A message about something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Alert {
    /// The model that it concerns, if any.
    pub model: Option<String>,
    /// The message.
    pub text: String,
}

impl Snapshot {
    /// The version of the format that this build writes.
    pub const VERSION: u32 = 2;

    /// Returns the views of the rows that are models, not processes.
    pub fn served_models(&self) -> impl Iterator<Item = &ModelView> {
        self.models.iter().filter(|model| model.process.is_none())
    }

    /// Returns the view of a model.
    pub fn model(&self, name: &str) -> Option<&ModelView> {
        self.models.iter().find(|model| model.row.budget.name == name)
    }

    /// Returns the number of its newest change.
    pub fn newest_change(&self) -> Option<u64> {
        self.changes.last().map(|entry| entry.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recording made by version 0.1.0, before fields were renamed.
    const VERSION_1: &str = include_str!("../../tests/recordings/version-1.ndjson");

    #[test]
    fn reads_recordings_of_version_1() {
        let snapshot: Snapshot = serde_json::from_str(VERSION_1).unwrap();
        assert_eq!(snapshot.version, 1);
        let model = &snapshot.models[0];
        assert_eq!((model.second.total.count, model.minute.total.count), (49, 149));
        assert_eq!(model.memory.weights, 478_400);
        assert_eq!(model.histogram.first, 93);
        assert!(model.cpu > 0.1 && snapshot.process_cpu > 0.1);
        assert_eq!(snapshot.cores[0].by_model[0].model, 0);
        assert!(snapshot.cores[0].others > 0.8);
        assert_eq!(snapshot.memory_table.stray_bytes, 1_165_148);
        assert_eq!(snapshot.ledger.memory_limit, Some(25_276_502_016));
    }

    #[test]
    fn current_names_round_trip() {
        let mut snapshot: Snapshot = serde_json::from_str(VERSION_1).unwrap();
        snapshot.version = Snapshot::VERSION;
        let json = serde_json::to_string(&snapshot).unwrap();
        assert!(json.contains(r#""by_model":[{"model":0,"share":"#), "{json}");
        assert!(json.contains(r#""last_second":{"#) && !json.contains(r#""second":"#));
        assert_eq!(serde_json::from_str::<Snapshot>(&json).unwrap(), snapshot);
    }
}
