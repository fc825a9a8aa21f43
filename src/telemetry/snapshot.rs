//! The state of the whole program at one instant, as plain owned data. The console draws it and
//! `--json` prints it.
//!
//! Units are in the names: `_us` microseconds, `_bytes` bytes, `_per_s` per second. Shares are 0 to 1
//! of one core unless stated otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::journal::JournalEntry;
use super::latencies::{Distribution, Latencies};
use super::memory::MemoryTable;
use super::request_counts::RequestCounts;
use super::state_version::StateVersion;
use crate::engine::{EngineKind, EngineMemory};
use crate::layout::{Ledger, Row};
use crate::machine::{Core, CoreId, CpuSet, MemoryUse, ThreadId};

/// The state of the whole program at one instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// The GPUs.
    #[serde(rename = "gpus", alias = "gpu")]
    pub gpu: GpuView,
    /// The newest changes, newest last; at most 64.
    pub changes: Vec<Arc<JournalEntry>>,
    /// True if the machine is simulated.
    pub simulated: bool,
    /// Messages for the operator: what is wrong, and why.
    pub alerts: Vec<Alert>,
}

/// A message about something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The model that it concerns, if any.
    pub model: Option<String>,
    /// The message.
    pub text: String,
}

/// The share of a core that a model used. Version 1 had `[model, share]`, which is still read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "CoreShareFormat")]
pub struct CoreShare {
    /// The model's index in [`Snapshot::models`].
    pub model: usize,
    /// Share of the interval.
    pub share: f64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CoreShareFormat {
    Version1(usize, f64),
    Current { model: usize, share: f64 },
}

impl From<CoreShareFormat> for CoreShare {
    fn from(format: CoreShareFormat) -> Self {
        let (CoreShareFormat::Version1(model, share) | CoreShareFormat::Current { model, share }) =
            format;
        Self { model, share }
    }
}

/// One logical CPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CoreView {
    /// Its place in the topology.
    pub core: Core,
    /// True if this process may use it.
    pub allowed: bool,
    /// Models that have it in their CPU set, as indices into [`Snapshot::models`].
    pub owners: Vec<usize>,
    /// True if a model has reserved it.
    pub reserved: bool,
    /// Share of the interval in which any process kept it busy.
    pub busy: f64,
    /// Share that each model used, largest first. Attributed by the CPU on which each thread was
    /// last seen: exact for pinned threads, sampled for others.
    pub by_model: Vec<CoreShare>,
    /// Busy share that is not attributed to a model.
    #[serde(rename = "unattributed", alias = "others")]
    pub others: f64,
    /// Time that models' threads last seen here were runnable but waiting, as a share of the
    /// interval (above 1 if several wait). `None` if the kernel hides it.
    pub wait: Option<f64>,
}

/// The state of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ModelState {
    /// Its file is being loaded.
    #[default]
    Loading,
    /// It serves requests.
    Running,
    /// Its old instances serve while new ones are built.
    Warming {
        /// New instances that are ready.
        ready: usize,
        /// All new instances.
        total: usize,
    },
    /// It takes no work from its queue: paused, or without cores.
    Paused,
    /// It could not be loaded, or lost its last instance.
    Failed {
        /// The reason, and a remedy.
        reason: String,
    },
    /// It is being removed: it answers the requests that it has and takes no more.
    Draining,
}

/// A model's metrics over a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Length of the span.
    pub span_us: u64,
    /// Completed requests per second.
    pub completed_per_s: f64,
    /// Requests completed within the SLO per second; `None` without an SLO.
    pub goodput_per_s: Option<f64>,
    /// Rejected, timed out or failed requests per second.
    pub lost_per_s: f64,
    /// Latency at the SLO's own percentile; `None` without an SLO.
    #[serde(rename = "slo_percentile_us", alias = "slo_us")]
    pub slo_us: Option<u64>,
    /// Time from the intended arrival to the start in an instance.
    pub queue: Distribution,
    /// Time in an instance.
    pub compute: Distribution,
    /// Queue time and compute time together.
    pub total: Distribution,
}

/// A latency histogram with eight logarithmic buckets per octave: bucket `i` holds latencies from
/// `2^(i/8)` microseconds up to the bound of the next bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Index of the first listed bucket.
    #[serde(rename = "first_bucket", alias = "first")]
    pub first: usize,
    /// Completed requests per bucket, by total latency.
    #[serde(rename = "counts", alias = "total")]
    pub total: Vec<u64>,
    /// Sum of the queue times per bucket, in microseconds. Queueing has the share
    /// `queue_us / (queue_us + compute_us)` of a bar.
    pub queue_us: Vec<u64>,
    /// Sum of the compute times per bucket, in microseconds.
    pub compute_us: Vec<u64>,
}

/// One OS thread that works for a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadView {
    /// The thread's id.
    pub id: ThreadId,
    /// The instance it belongs to, from 0.
    pub instance: usize,
    /// True for an intra-op helper, false for the thread that runs the requests.
    pub helper: bool,
    /// CPUs on which the kernel allows it.
    pub allowed: CpuSet,
    /// Its nice value; `None` if the system does not report it.
    #[serde(default)]
    pub nice: Option<i32>,
    /// The CPU on which it ran last.
    pub last_core: Option<CoreId>,
    /// Share of the interval that it ran.
    pub cpu: f64,
    /// Share of the interval that it was runnable but waiting; `None` if the kernel hides it.
    pub wait: Option<f64>,
}

/// The actual state by the kernel and the pool, next to the desired row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Actual {
    /// The union of the CPU masks of the model's threads.
    pub cores: CpuSet,
    /// The cores that the model has for now in place of its row's, while cores are lent to it or by
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_cores: Option<CpuSet>,
    /// Instances that may take a request.
    pub active: usize,
    /// Instances that are ready but not needed.
    pub parked: usize,
    /// Threads of one active instance.
    pub threads_per_instance: usize,
    /// Threads of the model.
    pub threads: Vec<ThreadView>,
    /// The difference from the desired row, and its reason; `None` if there is none.
    pub difference: Option<String>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelView {
    /// The desired row.
    pub row: Row,
    /// Its state.
    pub state: ModelState,
    /// The engine that runs it.
    pub engine: Option<EngineKind>,
    /// The engine's name and version ("ONNX Runtime 1.31.1").
    pub engine_title: String,
    /// The actual state.
    pub actual: Actual,
    /// Requests by state, since the start.
    pub counts: RequestCounts,
    /// The last second.
    #[serde(rename = "last_second", alias = "second")]
    pub second: Window,
    /// The last minute.
    #[serde(rename = "last_minute", alias = "minute")]
    pub minute: Window,
    /// The time since the last change that affected this model.
    pub since_change: Window,
    /// The whole run.
    pub run: Window,
    /// Histogram of the last minute.
    #[serde(rename = "histogram_minute", alias = "histogram")]
    pub histogram: Histogram,
    /// Histogram of the last second, for the heat map.
    pub histogram_second: Histogram,
    /// Latencies of the whole run, for the difference between two snapshots; not serialized.
    #[serde(skip)]
    pub latencies: Latencies,
    /// Open dimensions whose size divvy guessed for the built-in load, with the guess: the figures may
    /// not be those of real requests. Batches of one are left out. Empty if the layout's `dims`, a
    /// recording or arrays set the sizes, or no built-in load runs.
    #[serde(default)]
    pub guessed_dims: BTreeMap<String, usize>,
    /// CPU time during the interval, in cores.
    #[serde(rename = "cpu_cores", alias = "cpu")]
    pub cpu: f64,
    /// Run-queue wait during the interval as a share of (CPU + wait); `None` if the kernel hides it.
    pub wait: Option<f64>,
    /// Memory that the engine holds for it.
    pub memory: EngineMemory,
    /// The active built-in load ("poisson 120/s"). The metrics then include synthetic requests.
    pub load: Option<String>,
    /// Arrivals offered by the built-in load over the last second, per second.
    pub offered_per_s: Option<f64>,
}

/// The GPUs and their driver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuView {
    /// One line for the pane if there is no GPU to show ("no NVIDIA GPU").
    pub note: Option<String>,
    /// The system's or the driver's reason for the note.
    pub reason: Option<String>,
    /// One line for the pane if the driver answers slowly or not at all. The metrics are then older
    /// than the snapshot.
    pub slow: Option<String>,
    /// Duration of the last reading of all GPUs.
    #[serde(rename = "sample_us", alias = "look_us")]
    pub look_us: u64,
    /// The driver's version ("580.82.07").
    pub driver: Option<String>,
    /// The newest CUDA version that the driver supports ("13.0").
    pub cuda: Option<String>,
    /// The GPUs, by index.
    #[serde(rename = "devices", alias = "cards")]
    pub cards: Vec<GpuCard>,
}

/// One GPU. A reading that the driver does not give is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuCard {
    /// The driver's index.
    pub index: u32,
    /// The product's name.
    pub name: String,
    /// The driver's identifier ("GPU-" and five groups of hexadecimal digits).
    pub uuid: String,
    /// Share of the sampling period in which a kernel ran.
    #[serde(rename = "busy", alias = "utilisation")]
    pub utilisation: Option<f64>,
    /// Share of the sampling period in which the GPU's memory was read or written.
    pub memory_busy: Option<f64>,
    /// Memory in use.
    pub memory_used_bytes: Option<u64>,
    /// Total memory.
    pub memory_total_bytes: Option<u64>,
    /// Power draw in watts.
    pub power_w: Option<f64>,
    /// The limit in force on the power draw, in watts.
    pub power_limit_w: Option<f64>,
    /// Temperature in degrees Celsius.
    pub temperature_c: Option<u32>,
    /// Clock of the multiprocessors in MHz.
    pub sm_clock_mhz: Option<u32>,
    /// Clock of the memory in MHz.
    pub memory_clock_mhz: Option<u32>,
    /// Current `PCIe` generation of the link; it falls while the GPU is idle.
    pub pcie_generation: Option<u32>,
    /// The highest generation that GPU and slot support.
    pub pcie_generation_max: Option<u32>,
    /// Current `PCIe` lanes of the link.
    pub pcie_width: Option<u32>,
    /// The most lanes that GPU and slot support.
    pub pcie_width_max: Option<u32>,
    /// Bytes per second that the GPU received over `PCIe`, averaged over 20 ms.
    pub pcie_received_bytes_per_s: Option<u64>,
    /// Bytes per second that the GPU sent over `PCIe`, averaged over 20 ms.
    pub pcie_sent_bytes_per_s: Option<u64>,
    /// Reasons for reduced clocks; empty without any, `None` if unknown.
    pub throttle: Option<Vec<String>>,
    /// Processes that compute on the GPU.
    pub processes: Option<u32>,
    /// Memory that this process holds on the GPU. `None` if the driver does not list the process: it
    /// holds none, or the driver knows it by another id, as in a container.
    pub own_memory_bytes: Option<u64>,
    /// This process's share of the multiprocessors, 0 to 1; `None` as for its memory.
    #[serde(rename = "own_busy", alias = "own_utilisation")]
    pub own_utilisation: Option<f64>,
    /// True if the GPU is divided into MIG devices.
    pub mig_enabled: Option<bool>,
    /// Its MIG devices.
    pub mig: Vec<MigDevice>,
    /// The fault of this GPU, if any.
    pub fault: Option<String>,
}

/// A part of a GPU that works as a separate GPU (NVIDIA's Multi-Instance GPU).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MigDevice {
    /// Its index on the GPU.
    pub index: u32,
    /// The product's name with the profile ("NVIDIA H100 80GB HBM3 MIG 1g.10gb").
    pub name: String,
    /// The driver's identifier ("MIG-" and five groups of hexadecimal digits).
    pub uuid: String,
    /// Memory in use.
    pub memory_used_bytes: Option<u64>,
    /// Total memory.
    pub memory_total_bytes: Option<u64>,
    /// The fault of this device, if any.
    pub fault: Option<String>,
}

impl Snapshot {
    /// The version of the format that this build writes.
    pub const VERSION: u32 = 2;

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
