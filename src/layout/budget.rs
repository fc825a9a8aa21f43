//! One model's row of a layout: what the operator asks for, before it meets a machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::gpu_id::GpuId;
use super::units::{Bytes, print_duration};
use crate::machine::CpuSet;

/// Where a model's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelSource {
    /// An ONNX file; absolute once a layout has been loaded.
    File(PathBuf),
    /// A model that is part of the executable, by its file name ("detector.onnx").
    Embedded(String),
}

/// Which engine runs a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// ONNX Runtime where it is found, else the embedded engine.
    #[default]
    Auto,
    /// ONNX Runtime.
    OnnxRuntime,
    /// The embedded engine, rten.
    Rten,
}

/// How many or which cores a model asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoreRequest {
    /// Exactly these logical CPUs (`cores = "0-3"`). May be empty only in a live layout, where a
    /// model without cores is paused.
    List(CpuSet),
    /// This many, placed by topology (`cores = 2`); 0 pauses the model.
    Count(usize),
    /// This share of the allowed CPUs, in percent above 0 up to 100 (`cores = "50%"`), rounded to
    /// the nearest whole core and at least one.
    Share(f64),
}

/// A number, or left to divvy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auto {
    /// Derived from the other fields.
    #[default]
    Auto,
    /// This number, 1 or more.
    Exactly(usize),
}

/// What the split of a model's cores into instances and threads is for, where both are auto.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// One instance with as many threads as cores.
    Latency,
    /// As many instances as cores with one thread each.
    #[default]
    Throughput,
}

/// What happens to a request that finds the queue full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overflow {
    /// It is turned away at once.
    #[default]
    Reject,
    /// Its caller waits for room.
    Block,
}

/// The queue of admitted requests that wait for an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct QueuePolicy {
    /// Requests that may wait, 1 to 1,000,000.
    pub limit: usize,
    /// How long a request may wait; `None` for ever.
    pub timeout: Option<Duration>,
    /// What happens when it is full.
    pub overflow: Overflow,
}

impl QueuePolicy {
    /// The largest limit that a layout may ask for.
    pub const MAX_LIMIT: usize = 1_000_000;
}

impl Default for QueuePolicy {
    fn default() -> Self {
        Self { limit: 64, timeout: None, overflow: Overflow::Reject }
    }
}

/// A latency target: at this percentile, total latency stays under the bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// Above 0, below 100; for example 99.0.
    pub percentile: f64,
    /// The bound.
    pub bound: Duration,
}

/// Requests that divvy itself sends to a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum LoadSpec {
    /// Callers that each wait for their reply before they ask again.
    Closed {
        /// Number of callers, 1 to 10,000.
        clients: usize,
        /// Pause of a caller between a reply and its next request.
        think: Duration,
    },
    /// Arrivals with exponential gaps, whether or not earlier ones were answered.
    Poisson {
        /// Requests per second, above 0 up to 1,000,000.
        rate: f64,
    },
    /// Arrivals with equal gaps.
    Constant {
        /// Requests per second, above 0 up to 1,000,000.
        rate: f64,
    },
    /// Recorded requests from an `.npz` or `.npy` file.
    Replay {
        /// The file; absolute once a layout has been loaded.
        file: PathBuf,
        /// Whether the recorded order is kept.
        order: ReplayOrder,
        /// Requests per second; `None` uses the recorded arrival times where the file has them,
        /// else one caller in a closed loop.
        rate: Option<f64>,
        /// Outputs that become inputs of the next request, by name: `carry = { stateN = "state" }`.
        carry: BTreeMap<String, String>,
    },
}

impl LoadSpec {
    /// In a few words, for the screen ("poisson 120/s").
    pub fn description(&self) -> String {
        match self {
            Self::Closed { clients, think } if think.is_zero() => {
                format!("closed, {}", callers(*clients))
            }
            Self::Closed { clients, think } => {
                format!("closed, {}, think {}", callers(*clients), print_duration(*think))
            }
            Self::Poisson { rate } => format!("poisson {rate}/s"),
            Self::Constant { rate } => format!("constant {rate}/s"),
            Self::Replay { rate: Some(rate), .. } => format!("replay {rate}/s"),
            Self::Replay { rate: None, .. } => "replay".to_owned(),
        }
    }
}

fn callers(clients: usize) -> String {
    format!("{clients} client{}", if clients == 1 { "" } else { "s" })
}

/// The order of replayed requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplayOrder {
    /// As recorded.
    #[default]
    Recorded,
    /// Shuffled with a fixed seed.
    Shuffled,
}

/// How one input of a model is filled by synthetic load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputSpec {
    /// Seeded values within `[low, high)`; whole numbers for integer tensors.
    Range(f64, f64),
    /// All zeros (empty strings).
    Zeros,
    /// The array of an `.npy` file; absolute once a layout has been loaded.
    Npy(PathBuf),
}

/// One model's row of a layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The model's name, unique in the layout, 1 to 200 characters without control characters.
    pub name: String,
    /// Where the model comes from.
    pub source: ModelSource,
    /// Which engine runs it.
    pub engine: EngineChoice,
    /// Which or how many cores.
    pub cores: CoreRequest,
    /// Whether nobody else may run on these cores.
    pub reserve: bool,
    /// Intra-op threads of one instance, 1 to 1024.
    pub threads: Auto,
    /// Active instances, 1 to 1024.
    pub concurrency: Auto,
    /// What the split is for when both of them are auto.
    pub objective: Objective,
    /// Whether intra-op threads spin while they wait. `None`: never while cores are shared or
    /// fewer than threads.
    pub spinning: Option<bool>,
    /// What its threads get of a core that they share with other models' threads, relative to those:
    /// 1 to [`Budget::MAX_WEIGHT`]. Idle time is everybody's.
    pub weight: u32,
    /// Memory that the model may hold, weights included.
    pub memory: Option<Bytes>,
    /// The GPU that runs it; `None`: the CPU.
    #[serde(default)]
    pub gpu: Option<GpuId>,
    /// Memory that it may hold on its GPU, all instances together. Only with `gpu`.
    #[serde(default)]
    pub gpu_memory: Option<Bytes>,
    /// Its queue.
    pub queue: QueuePolicy,
    /// Its latency target.
    pub slo: Option<Slo>,
    /// The built-in load.
    pub load: Option<LoadSpec>,
    /// Sizes of dynamic dimensions, by the model's own names of them.
    pub dims: BTreeMap<String, usize>,
    /// How inputs are filled, by name.
    pub inputs: BTreeMap<String, InputSpec>,
    /// Whether it is paused: no instance takes work, the queue holds.
    pub paused: bool,
}

impl Budget {
    /// The largest weight: beyond it the kernel has no lower share for the others.
    pub const MAX_WEIGHT: u32 = 64;

    /// A row with the defaults of a layout file: one core, the rest derived.
    pub fn new(name: impl Into<String>, source: ModelSource) -> Self {
        Self {
            name: name.into(),
            source,
            engine: EngineChoice::Auto,
            cores: CoreRequest::Count(1),
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

    /// The file of recorded requests that the built-in load replays, where it replays one.
    pub fn recording(&self) -> Option<&PathBuf> {
        match &self.load {
            Some(LoadSpec::Replay { file, .. }) => Some(file),
            _ => None,
        }
    }
}

/// What the operator wants of all models; saved as a profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// Free text.
    pub description: String,
    /// The rows, in the order of the file.
    pub models: Vec<Budget>,
}

impl Layout {
    /// The only version of the file format so far.
    pub const VERSION: i64 = 1;

    /// The row of a model.
    pub fn model(&self, name: &str) -> Option<&Budget> {
        self.models.iter().find(|budget| budget.name == name)
    }
}
