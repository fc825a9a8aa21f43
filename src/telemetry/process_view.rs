//! The processes of one row in a snapshot.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model_view::ThreadView;
use crate::machine::{CoreId, CpuSet};

/// The processes of one row. CPU time and run-queue wait are in [`ModelView`](super::ModelView), as those
/// of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProcessView {
    /// The selector of the row ("exe redis-server").
    pub selector: String,
    /// The state of the processes.
    pub state: ProcessState,
    /// The number of processes.
    pub process_count: usize,
    /// The number of their threads.
    pub thread_count: usize,
    /// The processes, busiest first; at most [`ProcessView::MOST_LISTED`].
    pub processes: Vec<ProcessEntry>,
    /// The reason why divvy cannot change them; `None` if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<String>,
    /// The means that enforce the row's cores ("affinity of each thread").
    pub cores_by: String,
    /// The means that enforce its weight ("nice value of autogroup 214").
    #[serde(default)]
    pub weight_by: String,
    /// The reason why its weight cannot be enforced; `None` if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_refused: Option<String>,
    /// The means that enforce its memory budget; empty if it is only reported.
    #[serde(default)]
    pub memory_by: String,
    /// Resident memory, in bytes. Pages that several of the processes share count in each.
    pub rss_bytes: u64,
    /// Resident memory in which shared pages are divided among their users, in bytes; `None` until it was
    /// measured.
    #[serde(default)]
    pub pss_bytes: Option<u64>,
    /// When the oldest of the processes started, milliseconds since 1970 in UTC.
    #[serde(default)]
    pub started_unix_ms: Option<u64>,
    /// Threads that ran or waited for a CPU, on average over the interval.
    pub runnable: f64,
    /// The requests that the program reports; `None` without a metrics page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<ReportedRequests>,
    /// Memory bandwidth and cache of the row.
    #[serde(default)]
    pub bandwidth: BandwidthView,
}

impl ProcessView {
    /// The most processes that a view lists.
    pub const MOST_LISTED: usize = 32;
}

/// The state of the processes of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ProcessState {
    /// No process matches; the row takes them in when they appear.
    #[default]
    Absent,
    /// At least one process runs.
    Running,
    /// The started process ended and is started again after a pause.
    Restarting {
        /// Why it ended ("exit code 1").
        ended: String,
        /// Time until the next start.
        wait_ms: u64,
    },
    /// The started process ended and stays ended.
    Ended {
        /// Why it ended ("exit code 1").
        ended: String,
    },
    /// The processes cannot be chosen or started, for this reason.
    Failed {
        /// The reason, and a remedy.
        reason: String,
    },
}

impl ProcessState {
    /// Returns its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Running => "running",
            Self::Restarting { .. } => "restarting",
            Self::Ended { .. } => "ended",
            Self::Failed { .. } => "failed",
        }
    }

    /// Returns true if the row has failed for good: it cannot have its processes, or its command failed and
    /// is not started again.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Absent | Self::Running | Self::Restarting { .. } => false,
            Self::Ended { ended } => ended != "exit code 0",
            Self::Failed { .. } => true,
        }
    }
}

/// One process of a row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProcessEntry {
    /// Its number.
    pub pid: i32,
    /// The number of its parent.
    pub parent: i32,
    /// Its command line, at most 200 characters; its name in brackets if it has none.
    pub command: String,
    /// Its owner, by name, or by number if the owner has no name.
    pub user: String,
    /// The number of its threads.
    pub threads: usize,
    /// Its CPU time in the interval, in cores.
    #[serde(rename = "cpu_cores")]
    pub cpu: f64,
    /// Its resident memory, in bytes.
    pub rss_bytes: u64,
}

/// The requests that a program reports itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReportedRequests {
    /// The kind of the page and of its metrics ("Triton, summary").
    pub source: String,
    /// Requests per second.
    pub per_s: Option<f64>,
    /// Failed requests per second.
    pub failed_per_s: Option<f64>,
    /// Mean latency, in microseconds.
    pub mean_us: Option<f64>,
    /// Median latency, in microseconds; `None` if the page has no distribution.
    pub p50_us: Option<f64>,
    /// 99th percentile of the latency, in microseconds; `None` if the page has no distribution.
    pub p99_us: Option<f64>,
    /// The latency at the percentile of the row's target, in microseconds.
    pub slo_us: Option<f64>,
    /// The precision of the percentiles ("between bucket bounds 10 and 25 ms").
    pub resolution: String,
    /// Time that the figures cover, in microseconds.
    pub span_us: u64,
    /// The reason why the page cannot be read or has no figures, with a remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Memory bandwidth and cache of a row, as the hardware's monitors report them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BandwidthView {
    /// Bytes per second between the last-level cache and memory.
    pub bytes_per_s: Option<f64>,
    /// Bytes of the last-level cache that the row occupies.
    pub cache_bytes: Option<u64>,
    /// The reason why there are no figures; `None` if there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// CPU use of a row's processes between two samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessUse {
    /// CPU time, in cores.
    pub cpu: f64,
    /// CPU time since the row took the processes in, in microseconds.
    pub cpu_total_us: u64,
    /// Time that threads were runnable but waiting, in cores; `None` if the kernel hides it.
    pub wait: Option<f64>,
    /// The union of the CPU masks of the threads.
    pub cores: CpuSet,
    /// The busiest threads, at most [`ProcessUse::MOST_THREADS`].
    pub threads: Vec<ThreadView>,
    /// CPU time and waiting time by the core on which each thread was last seen, in cores.
    pub by_core: BTreeMap<CoreId, CoreTime>,
}

impl ProcessUse {
    /// The most threads that are listed.
    pub const MOST_THREADS: usize = 64;
}

/// The time of a row's threads on one core.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CoreTime {
    /// CPU time, in cores.
    pub cpu: f64,
    /// Waiting time, in cores.
    pub wait: f64,
}

/// The processes that belong to no row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OtherProcesses {
    /// Their CPU time in the interval, in cores.
    #[serde(rename = "cpu_cores")]
    pub cpu: f64,
    /// The busiest, at most [`OtherProcesses::MOST_LISTED`].
    pub busiest: Vec<OtherProcess>,
}

impl OtherProcesses {
    /// The most processes that are listed.
    pub const MOST_LISTED: usize = 64;
}

/// A process that belongs to no row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OtherProcess {
    /// The process.
    pub process: ProcessEntry,
    /// The file name of its executable; its name if the executable is hidden.
    pub exe: String,
    /// The reason why it can be no row; `None` if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// True if it may run on a core that a row has reserved.
    #[serde(default)]
    pub on_reserved: bool,
}
