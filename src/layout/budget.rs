//! Budgets: the rows of a layout, before they are placed on a machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::gpu_id::GpuId;
use super::phrases::number;
use super::process_source::ProcessSource;
use super::units::{Bytes, print_duration};
use crate::machine::CpuSet;

/// The source of a model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ModelSource {
    /// An ONNX file; absolute once a layout has been loaded.
    File(PathBuf),
    /// A model that is part of the executable, by its file name ("detector.onnx").
    Embedded(String),
}

/// The source of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum RowSource {
    /// A model, which divvy loads and runs.
    Model(ModelSource),
    /// Processes, which run outside of divvy.
    Process {
        /// The processes.
        process: ProcessSource,
    },
}

impl RowSource {
    /// Returns the model's source; `None` for processes.
    pub fn model(&self) -> Option<&ModelSource> {
        match self {
            Self::Model(source) => Some(source),
            Self::Process { .. } => None,
        }
    }

    /// Returns the processes' source; `None` for a model.
    pub fn process(&self) -> Option<&ProcessSource> {
        match self {
            Self::Model(_) => None,
            Self::Process { process } => Some(process),
        }
    }
}

impl From<ModelSource> for RowSource {
    fn from(source: ModelSource) -> Self {
        Self::Model(source)
    }
}

impl From<ProcessSource> for RowSource {
    fn from(process: ProcessSource) -> Self {
        Self::Process { process }
    }
}

/// The engine that runs a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// ONNX Runtime if it is found, else the embedded engine.
    #[default]
    Auto,
    /// ONNX Runtime.
    OnnxRuntime,
    /// The embedded engine, rten.
    Rten,
}

/// The cores that a model asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CoreRequest {
    /// Exactly these logical CPUs (`cores = "0-3"`). Empty only in a live layout, for a model without
    /// cores.
    List(CpuSet),
    /// This many, placed by topology (`cores = 2`); 0 pauses the model.
    Count(usize),
    /// This share of the allowed CPUs, in percent above 0 up to 100 (`cores = "50%"`), rounded to
    /// the nearest whole core and at least one.
    Share(f64),
}

/// A number, or "auto".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Auto {
    /// Derived from the other fields.
    #[default]
    Auto,
    /// This number, 1 or more.
    Exactly(usize),
}

/// The goal when a model's cores are split into instances and threads automatically.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// One instance with as many threads as cores.
    Latency,
    /// As many instances as cores, with one thread each.
    #[default]
    Throughput,
}

/// The treatment of requests when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Overflow {
    /// The request is rejected at once.
    #[default]
    Reject,
    /// The caller waits until there is room.
    Block,
}

/// The queue of requests that wait for an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct QueuePolicy {
    /// Requests that may wait, 1 to 1,000,000.
    pub limit: usize,
    /// The longest wait of a request; `None` for no limit.
    pub timeout: Option<Duration>,
    /// The treatment of requests when it is full.
    pub overflow: Overflow,
    /// The number of priorities that clients of the server may use, 1 to 100.
    #[serde(default = "QueuePolicy::default_levels")]
    pub levels: u8,
}

impl QueuePolicy {
    /// The largest limit that a layout may ask for.
    pub const MAX_LIMIT: usize = 1_000_000;
    /// The most priorities that a layout may ask for.
    pub const MAX_LEVELS: u8 = 100;

    const fn default_levels() -> u8 {
        1
    }
}

impl Default for QueuePolicy {
    fn default() -> Self {
        Self {
            limit: 64,
            timeout: None,
            overflow: Overflow::Reject,
            levels: Self::default_levels(),
        }
    }
}

/// A latency target: at this percentile, total latency stays under the bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Slo {
    /// Above 0, below 100; for example 99.0.
    pub percentile: f64,
    /// The bound.
    pub bound: Duration,
}

/// The built-in load: requests that divvy itself sends to a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum LoadSpec {
    /// Clients that each wait for a reply before they send the next request.
    Closed {
        /// The number of clients, 1 to 10,000.
        clients: usize,
        /// The pause of a client between a reply and its next request.
        think: Duration,
    },
    /// Arrivals with exponential gaps, independent of replies.
    Poisson {
        /// Requests per second, above 0 up to 1,000,000.
        rate: f64,
    },
    /// Arrivals with equal gaps, independent of replies.
    Constant {
        /// Requests per second, above 0 up to 1,000,000.
        rate: f64,
    },
    /// Recorded requests from an `.npz` or `.npy` file.
    Replay {
        /// The file; absolute once a layout has been loaded.
        file: PathBuf,
        /// The order of the requests.
        order: ReplayOrder,
        /// Requests per second; `None` for the recorded arrival times or, if the file has none, one
        /// client in a closed loop.
        rate: Option<f64>,
        /// Outputs that become inputs of the next request, from output to input name: `carry = { stateN = "state" }`.
        carry: BTreeMap<String, String>,
    },
}

impl LoadSpec {
    /// Returns a short description: "poisson 120/s".
    pub fn description(&self) -> String {
        match self {
            Self::Closed { clients, think } if think.is_zero() => {
                format!("closed, {}", counted_clients(*clients))
            }
            Self::Closed { clients, think } => {
                format!("closed, {}, think {}", counted_clients(*clients), print_duration(*think))
            }
            Self::Poisson { rate } => format!("poisson {}/s", number(*rate)),
            Self::Constant { rate } => format!("constant {}/s", number(*rate)),
            Self::Replay { rate: Some(rate), .. } => format!("replay {}/s", number(*rate)),
            Self::Replay { rate: None, .. } => "replay".to_owned(),
        }
    }
}

fn counted_clients(clients: usize) -> String {
    format!("{clients} client{}", if clients == 1 { "" } else { "s" })
}

/// The order of replayed requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ReplayOrder {
    /// As recorded.
    #[default]
    Recorded,
    /// Shuffled with a fixed seed.
    Shuffled,
}

/// The values of an input in built-in load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum InputSpec {
    /// Random values within `[low, high)` from a fixed seed; whole numbers for integer tensors.
    Range(f64, f64),
    /// All zeros; empty strings for string tensors.
    Zeros,
    /// The array of an `.npy` file; absolute once a layout has been loaded.
    Npy(PathBuf),
}

/// The budget of a model or of processes: its row of a layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Budget {
    /// The row's name, unique in the layout, 1 to 200 characters without control characters.
    pub name: String,
    /// The source of the row. Processes use `cores`, `reserve`, `weight`, `memory` and `slo`; their
    /// other fields have the defaults.
    pub source: RowSource,
    /// The version that clients of the server see, 1 to 64 visible characters without `/`.
    #[serde(default = "Budget::default_version")]
    pub version: String,
    /// The engine that runs it.
    pub engine: EngineChoice,
    /// The cores that it asks for. Processes without cores run on every core that no row has reserved.
    pub cores: CoreRequest,
    /// True if no other model may run on these cores.
    pub reserve: bool,
    /// Intra-op threads of one instance, 1 to 1024.
    pub threads: Auto,
    /// Active instances, 1 to 1024.
    pub concurrency: Auto,
    /// The goal of an automatic split into instances and threads.
    pub objective: Objective,
    /// True if intra-op threads spin while they wait; `None` for "auto", which is off.
    pub spinning: Option<bool>,
    /// The share of its threads on cores that they share, relative to other models' threads: 1 to
    /// [`Budget::MAX_WEIGHT`]. Idle time is not divided by weight.
    pub weight: u32,
    /// The memory budget, which includes weights; `None` for no limit.
    pub memory: Option<Bytes>,
    /// The GPU that runs it; `None` for the CPU.
    #[serde(default)]
    pub gpu: Option<GpuId>,
    /// The limit on its GPU memory, for all instances in sum. Only with `gpu`.
    #[serde(default)]
    pub gpu_memory: Option<Bytes>,
    /// The queue.
    pub queue: QueuePolicy,
    /// The latency target.
    pub slo: Option<Slo>,
    /// The built-in load.
    pub load: Option<LoadSpec>,
    /// Sizes of open dimensions, by name.
    pub dims: BTreeMap<String, usize>,
    /// The values of inputs in built-in load, by name.
    pub inputs: BTreeMap<String, InputSpec>,
    /// True if it is paused: no instance runs requests, and the queue keeps them.
    pub paused: bool,
}

impl Budget {
    /// The largest weight. The kernel has no smaller share for the other models.
    pub const MAX_WEIGHT: u32 = 64;

    /// The version of a model whose row sets none.
    pub const DEFAULT_VERSION: &str = "1";

    fn default_version() -> String {
        Self::DEFAULT_VERSION.to_owned()
    }

    /// Returns a row with the defaults of a layout file.
    pub fn new(name: impl Into<String>, source: impl Into<RowSource>) -> Self {
        let source = source.into();
        let cores = match &source {
            RowSource::Model(_) => CoreRequest::Count(1),
            RowSource::Process { .. } => CoreRequest::List(CpuSet::EMPTY),
        };
        Self {
            name: name.into(),
            source,
            version: Self::default_version(),
            engine: EngineChoice::Auto,
            cores,
            reserve: false,
            threads: Auto::Auto,
            concurrency: Auto::Auto,
            objective: Objective::default(),
            spinning: None,
            weight: 1,
            memory: None,
            gpu: None,
            gpu_memory: None,
            queue: QueuePolicy::default(),
            slo: None,
            load: None,
            dims: BTreeMap::new(),
            inputs: BTreeMap::new(),
            paused: false,
        }
    }

    /// Returns true if the row is of processes, not of a model.
    pub fn is_process(&self) -> bool {
        self.source.process().is_some()
    }

    /// Returns true if the row runs without a budget of cores, on those that no row has reserved. A model
    /// without cores is paused.
    pub fn runs_without_cores(&self) -> bool {
        self.is_process()
    }

    /// Returns the recording that the built-in load replays, if it replays one.
    pub fn recording(&self) -> Option<&PathBuf> {
        match &self.load {
            Some(LoadSpec::Replay { file, .. }) => Some(file),
            _ => None,
        }
    }
}

/// The budgets of all models and processes; saved as a profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Layout {
    /// A description for people.
    pub description: String,
    /// The rows, in the order of the file.
    pub models: Vec<Budget>,
}

impl Layout {
    /// The version of the file format.
    pub const VERSION: i64 = 1;

    /// Returns the row of a model.
    pub fn model(&self, name: &str) -> Option<&Budget> {
        self.models.iter().find(|budget| budget.name == name)
    }
}
