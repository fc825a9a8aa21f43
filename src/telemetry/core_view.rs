//! One CPU in a snapshot.

use serde::{Deserialize, Serialize};

use crate::machine::Core;

/// The share of a core that a model used. Version 1 had `[model, share]`, which is still read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(from = "CoreShareFormat")]
pub struct CoreShare {
    /// The model's index in [`Snapshot::models`](super::Snapshot::models).
    pub model: usize,
    /// Share of the interval.
    pub share: f64,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CoreView {
    /// Its place in the topology.
    pub core: Core,
    /// True if this process may use it.
    pub allowed: bool,
    /// Models that have it in their CPU set, as indices into [`Snapshot::models`](super::Snapshot::models).
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
