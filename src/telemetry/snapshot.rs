//! Everything that is known at one instant, as plain owned data: what the console draws and what
//! `--json` prints. Units are in the names: `_us` microseconds, `_bytes` bytes, `_per_s` per second;
//! shares are 0 to 1 of one core unless said otherwise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::journal::JournalEntry;
use super::latencies::{Distribution, Latencies};
use super::memory::MemoryTable;
use super::request_counts::RequestCounts;
use crate::engine::{EngineKind, EngineMemory};
use crate::layout::{Ledger, Row};
use crate::machine::{Core, CoreId, CpuSet, MemoryUse, ThreadId};

/// One instant of the whole program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Version of this format; raised when a field changes its meaning or goes away.
    pub version: u32,
    /// Rises by one with each snapshot.
    pub sequence: u64,
    /// Wall-clock time, milliseconds since 1970 in UTC.
    pub at_unix_ms: u64,
    /// Since the scheduler started.
    pub uptime_us: u64,
    /// Length of the interval that "now" figures (use, CPU, wait) cover.
    pub interval_us: u64,
    /// The machine's CPUs and their use.
    pub cores: Vec<CoreView>,
    /// Allotted, free, oversubscribed.
    pub ledger: Ledger,
    /// Memory of the machine and the process.
    pub memory: MemoryUse,
    /// Where the process's memory is.
    #[serde(default)]
    pub memory_table: MemoryTable,
    /// CPU time of the whole process over the interval, in cores.
    pub process_cpu: f64,
    /// The models, in layout order.
    pub models: Vec<ModelView>,
    /// The GPUs.
    pub gpu: GpuView,
    /// The newest changes, newest last; at most 64.
    pub changes: Vec<JournalEntry>,
    /// Whether this machine is simulated.
    pub simulated: bool,
    /// What the operator should know, in sentences that say why.
    pub alerts: Vec<Alert>,
}

/// A sentence about something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The model that it is about, where it is about one.
    pub model: Option<String>,
    /// The sentence.
    pub text: String,
}

/// One logical CPU now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CoreView {
    /// Where it sits.
    pub core: Core,
    /// Whether this process may use it.
    pub allowed: bool,
    /// Models that have it in their CPU set, as indices into [`Snapshot::models`].
    pub owners: Vec<usize>,
    /// Whether one model has reserved it.
    pub reserved: bool,
    /// Share of the interval in which it was busy, all processes together.
    pub busy: f64,
    /// Share that each model used, `(index, share)`, largest first. Attributed by the CPU on which
    /// each thread was last seen: exact for pinned threads, sampled for others.
    pub by_model: Vec<(usize, f64)>,
    /// Busy share that no model's thread explains.
    pub others: f64,
    /// Time that models' threads last seen here spent runnable but waiting, as a share of the
    /// interval (above 1 when several wait); `None` where the kernel hides it.
    pub wait: Option<f64>,
}

/// Where a model stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ModelState {
    /// Its file is being loaded.
    #[default]
    Loading,
    /// It serves.
    Running,
    /// It serves at the old width while instances of the new one are built.
    Warming {
        /// New instances that are ready.
        ready: usize,
        /// New instances in all.
        total: usize,
    },
    /// It takes no work from its queue: paused, or without cores.
    Paused,
    /// It could not be loaded, or lost its last instance.
    Failed {
        /// Why, and what would help.
        reason: String,
    },
    /// It answers what it has and will be gone.
    Draining,
}

/// What a model did over a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Length of the span.
    pub span_us: u64,
    /// Completed requests per second.
    pub completed_per_s: f64,
    /// Completed within the SLO per second; `None` without an SLO.
    pub goodput_per_s: Option<f64>,
    /// Rejected, timed out or failed per second.
    pub lost_per_s: f64,
    /// Latency at the SLO's own percentile; `None` without an SLO.
    pub slo_us: Option<u64>,
    /// Time from the intended arrival to the start in an instance.
    pub queue: Distribution,
    /// Time in an instance.
    pub compute: Distribution,
    /// Both together.
    pub total: Distribution,
}

/// A latency histogram with logarithmic buckets, eight to an octave: bucket `i` holds latencies
/// of `2^(i/8)` microseconds up to the next bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Index of the first bucket that is listed.
    pub first: usize,
    /// Completed requests by total latency, a bucket an entry.
    pub total: Vec<u64>,
    /// Queue time of the requests in each bucket, in microseconds, summed: its part of a bar is
    /// `queue_us / (queue_us + compute_us)`.
    pub queue_us: Vec<u64>,
    /// Compute time of the requests in each bucket, in microseconds, summed.
    pub compute_us: Vec<u64>,
}

/// One OS thread that works for a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadView {
    /// Its id.
    pub id: ThreadId,
    /// The instance it belongs to, from 0.
    pub instance: usize,
    /// Whether it runs requests itself, or helps as an intra-op thread.
    pub helper: bool,
    /// CPUs on which the kernel allows it, read back.
    pub allowed: CpuSet,
    /// Its nice value, read back; `None` where the system does not tell.
    #[serde(default)]
    pub nice: Option<i32>,
    /// CPU where it ran last.
    pub last_core: Option<CoreId>,
    /// Share of the interval on a CPU.
    pub cpu: f64,
    /// Share of the interval runnable but waiting; `None` where the kernel hides it.
    pub wait: Option<f64>,
}

/// What the kernel and the pool say, beside what the row asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Actual {
    /// CPUs on which every thread of the model is allowed: the union of the masks.
    pub cores: CpuSet,
    /// Instances that may take a request.
    pub active: usize,
    /// Instances that sleep, ready to be woken.
    pub parked: usize,
    /// Threads of one active instance.
    pub threads_per_instance: usize,
    /// Threads of the model.
    pub threads: Vec<ThreadView>,
    /// Where this differs from the row, and why; `None` when it does not.
    pub difference: Option<String>,
}

/// One model now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelView {
    /// The desired row.
    pub row: Row,
    /// Where it stands.
    pub state: ModelState,
    /// The engine that runs it.
    pub engine: Option<EngineKind>,
    /// The engine's title ("ONNX Runtime 1.31.1").
    pub engine_title: String,
    /// The actual state.
    pub actual: Actual,
    /// Requests by state, since the start.
    pub counts: RequestCounts,
    /// The last second.
    pub second: Window,
    /// The last minute.
    pub minute: Window,
    /// Since the last change that touched this model.
    pub since_change: Window,
    /// The whole run.
    pub run: Window,
    /// Histogram of the last minute.
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
    /// CPU time over the interval, in cores.
    pub cpu: f64,
    /// Run-queue wait over the interval as a share of (CPU + wait); `None` where hidden.
    pub wait: Option<f64>,
    /// Memory that the engine holds for it.
    pub memory: EngineMemory,
    /// The built-in load that is on, in words ("poisson 120/s"). Figures then come, at least in
    /// part, from synthetic requests.
    pub load: Option<String>,
    /// Arrivals offered by the built-in load over the last second, per second.
    pub offered_per_s: Option<f64>,
}

/// What is known of GPUs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuView {
    /// One line for the pane when there is no card to show ("no NVIDIA GPU").
    pub note: Option<String>,
    /// What is behind the note, in the words of the system or the driver.
    pub reason: Option<String>,
    /// One line for the pane when the driver answers slowly or not at all; the cards' figures are
    /// then older than they look.
    pub slow: Option<String>,
    /// How long the last look at all cards took.
    pub look_us: u64,
    /// The driver's version ("580.82.07").
    pub driver: Option<String>,
    /// The newest CUDA version that the driver runs ("13.0").
    pub cuda: Option<String>,
    /// The cards, by index.
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
    pub utilisation: Option<f64>,
    /// Share of the sampling period in which the card's memory was read or written.
    pub memory_busy: Option<f64>,
    /// Memory in use.
    pub memory_used_bytes: Option<u64>,
    /// Memory in all.
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
    /// `PCIe` generation of the link now; it falls when the card is idle.
    pub pcie_generation: Option<u32>,
    /// The highest generation that card and slot can do together.
    pub pcie_generation_max: Option<u32>,
    /// `PCIe` lanes of the link now.
    pub pcie_width: Option<u32>,
    /// The most lanes that card and slot can do together.
    pub pcie_width_max: Option<u32>,
    /// Bytes a second that the card received over `PCIe`, over 20 ms.
    pub pcie_received_bytes_per_s: Option<u64>,
    /// Bytes a second that the card sent over `PCIe`, over 20 ms.
    pub pcie_sent_bytes_per_s: Option<u64>,
    /// What holds the clocks down, in words; empty when nothing does, `None` when unknown.
    pub throttle: Option<Vec<String>>,
    /// Processes that compute on the card.
    pub processes: Option<u32>,
    /// Memory that this process holds on the card; `None` when the driver does not list it: it
    /// holds none, or the driver knows it by another id, as in a container.
    pub own_memory_bytes: Option<u64>,
    /// This process's share of the multiprocessors, 0 to 1; `None` as for its memory.
    pub own_utilisation: Option<f64>,
    /// Whether the card is cut into MIG devices.
    pub mig_enabled: Option<bool>,
    /// Its MIG devices.
    pub mig: Vec<MigDevice>,
    /// What went wrong with this card, in a sentence.
    pub fault: Option<String>,
}

/// A part of a card that works as a card of its own (NVIDIA's Multi-Instance GPU).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MigDevice {
    /// Its index on the card.
    pub index: u32,
    /// The product's name with the profile ("NVIDIA H100 80GB HBM3 MIG 1g.10gb").
    pub name: String,
    /// The driver's identifier ("MIG-" and five groups of hexadecimal digits).
    pub uuid: String,
    /// Memory in use.
    pub memory_used_bytes: Option<u64>,
    /// Memory in all.
    pub memory_total_bytes: Option<u64>,
    /// What went wrong with this device, in a sentence.
    pub fault: Option<String>,
}

impl Snapshot {
    /// The version of the format that this build writes.
    pub const VERSION: u32 = 1;

    /// The view of a model.
    pub fn model(&self, name: &str) -> Option<&ModelView> {
        self.models.iter().find(|model| model.row.budget.name == name)
    }

    /// The number of the newest change that it shows.
    pub fn newest_change(&self) -> Option<u64> {
        self.changes.last().map(|entry| entry.id)
    }
}
