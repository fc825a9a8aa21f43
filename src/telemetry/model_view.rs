//! One model in a snapshot: its state, threads and metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::latencies::Latencies;
use super::process_view::ProcessView;
use super::request_counts::RequestCounts;
use super::window::{Histogram, Window};
use crate::engine::{EngineKind, EngineMemory};
use crate::layout::Row;
use crate::machine::{CoreId, CpuSet, ThreadId};

/// The state of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// A process row without a process: none runs that it matches, or its command has ended with success.
    Absent,
    /// It is being removed: it answers the requests that it has and takes no more.
    Draining,
}

/// One OS thread that works for a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    #[serde(default)]
    pub threads: Vec<ThreadView>,
    /// The difference from the desired row, and its reason; `None` if there is none.
    pub difference: Option<String>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ModelView {
    /// The desired row.
    pub row: Row,
    /// The processes; `None` for a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Arc<ProcessView>>,
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
    #[serde(default)]
    pub since_change: Window,
    /// The whole run.
    #[serde(default)]
    pub run: Window,
    /// Histogram of the last minute.
    #[serde(default, rename = "histogram_minute", alias = "histogram")]
    pub histogram: Histogram,
    /// Histogram of the last second, for the heat map.
    #[serde(default)]
    pub histogram_second: Histogram,
    /// Latencies of the whole run, for the difference between two snapshots; not serialized.
    #[serde(skip)]
    pub latencies: Latencies,
    /// Open dimensions whose size divvy guessed for the built-in load, with the guess: the figures may
    /// not be those of real requests. Batches of one are left out. Empty if the layout's `dims`, a
    /// recording or arrays set the sizes, if no built-in load runs, or once a caller has sent a request.
    #[serde(default)]
    pub guessed_dims: BTreeMap<String, usize>,
    /// The reason why no request is known that the model runs, while it is served without a trial: its
    /// inputs could not be guessed, and no request of a caller has succeeded yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untried: Option<String>,
    /// CPU time during the interval, in cores.
    #[serde(rename = "cpu_cores", alias = "cpu")]
    pub cpu: f64,
    /// CPU time of its threads since it was loaded, as far as samples have seen it.
    #[serde(default)]
    pub cpu_total_us: u64,
    /// Run-queue wait during the interval as a share of (CPU + wait); `None` if the kernel hides it.
    pub wait: Option<f64>,
    /// Memory that the engine holds for it.
    #[serde(default)]
    pub memory: EngineMemory,
    /// The active built-in load ("poisson 120/s"). The metrics then include synthetic requests.
    pub load: Option<String>,
    /// Arrivals offered by the built-in load over the last second, per second.
    pub offered_per_s: Option<f64>,
}
