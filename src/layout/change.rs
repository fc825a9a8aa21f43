//! Changes: edits of the live layout that are applied as one transaction. Pure data.

use serde::{Deserialize, Serialize};

use super::budget::{Auto, Budget, CoreRequest, Layout, LoadSpec, Objective, QueuePolicy, Slo};
use super::gpu_id::GpuId;
use super::units::Bytes;
use crate::machine::CpuSet;

/// The donor or the receiver of a transfer of cores.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CoreOwner {
    /// Nobody: the free cores.
    Free,
    /// A model, by name.
    Model(String),
}

/// The cores that a transfer moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CoreSelection {
    /// This many; placement chooses them.
    Count(usize),
    /// Exactly these. The rows' core requests become lists.
    These(CpuSet),
}

/// One edit of the live layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum Edit {
    /// Moves cores. Only the donor loses them: other models that share them keep them. With `share`,
    /// the donor keeps them too.
    TransferCores {
        /// The cores.
        cores: CoreSelection,
        /// The donor.
        from: CoreOwner,
        /// The receiver.
        to: CoreOwner,
        /// True if the donor keeps them too.
        share: bool,
    },
    /// Moves instances from one model to another. The concurrency of both becomes a number.
    TransferConcurrency {
        /// The number of instances.
        count: usize,
        /// The donor, by name.
        from: String,
        /// The receiver, by name.
        to: String,
    },
    /// Sets the row's cores.
    SetCores {
        /// The model.
        model: String,
        /// The request.
        cores: CoreRequest,
    },
    /// Reserves the row's cores, or stops reserving them.
    SetReserve {
        /// The model.
        model: String,
        /// True if no other model may have them.
        reserve: bool,
    },
    /// Sets the number of active instances.
    SetConcurrency {
        /// The model.
        model: String,
        /// The number, or auto.
        concurrency: Auto,
    },
    /// Sets the intra-op threads per instance.
    SetThreads {
        /// The model.
        model: String,
        /// The number, or auto.
        threads: Auto,
    },
    /// Sets whether intra-op threads spin.
    SetSpinning {
        /// The model.
        model: String,
        /// The setting; `None` for "auto".
        spinning: Option<bool>,
    },
    /// Sets the share that its threads get of a shared core.
    SetWeight {
        /// The model.
        model: String,
        /// The weight, 1 to [`Budget::MAX_WEIGHT`].
        weight: u32,
    },
    /// Sets the goal of an automatic split into instances and threads.
    SetObjective {
        /// The model.
        model: String,
        /// The objective.
        objective: Objective,
    },
    /// Sets the queue's policy.
    SetQueue {
        /// The model.
        model: String,
        /// The policy.
        queue: QueuePolicy,
    },
    /// Sets or removes the latency target.
    SetSlo {
        /// The model.
        model: String,
        /// The target.
        slo: Option<Slo>,
    },
    /// Sets or removes the memory budget.
    SetMemory {
        /// The model.
        model: String,
        /// The budget.
        memory: Option<Bytes>,
    },
    /// Moves the model to a GPU, with a limit on its memory there, or to the CPU.
    SetGpu {
        /// The model.
        model: String,
        /// The GPU; `None` for the CPU.
        gpu: Option<GpuId>,
        /// The memory limit; only with a GPU.
        gpu_memory: Option<Bytes>,
    },
    /// Sets or removes the built-in load.
    SetLoad {
        /// The model.
        model: String,
        /// The load.
        load: Option<LoadSpec>,
    },
    /// Pauses a model, whose queue then keeps its requests, or resumes it.
    Pause {
        /// The model.
        model: String,
        /// True to pause it.
        paused: bool,
    },
    /// Replaces the row of the same name. The model is reloaded if its file, engine, dims or inputs
    /// differ; the old one serves until the new one has run a trial request.
    SetRow {
        /// The row.
        budget: Box<Budget>,
        /// The row that was edited. If the model's row differs from it by now, the edit is refused, so
        /// that it reverts no other change. `None` to skip this check.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<Box<Budget>>,
    },
    /// Loads the model's file again, for example after it was replaced. The old model serves until the new one
    /// has run a trial request.
    Reload {
        /// The model.
        model: String,
        /// The number of the load, as in [`super::Row::loads`]; `None` for the next one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
    },
    /// Renames a model. It keeps running, with its cores, its queue and its position.
    Rename {
        /// The present name.
        model: String,
        /// The new name; no other model may have it.
        to: String,
    },
    /// Adds a model as the last row.
    Add {
        /// The row.
        budget: Box<Budget>,
    },
    /// Removes a model after its requests have been drained.
    Remove {
        /// The model.
        model: String,
    },
    /// Replaces the layout. Models of the same name and file keep running; others are added or
    /// removed.
    Load {
        /// The new layout.
        layout: Box<Layout>,
    },
}

impl Edit {
    /// Returns the rows that the edit needs to be models: it sets what processes do not have.
    pub(super) fn models_only(&self) -> Vec<&str> {
        match self {
            Self::TransferConcurrency { from, to, .. } => vec![from, to],
            Self::SetConcurrency { model, .. }
            | Self::SetThreads { model, .. }
            | Self::SetSpinning { model, .. }
            | Self::SetObjective { model, .. }
            | Self::SetQueue { model, .. }
            | Self::SetGpu { model, .. }
            | Self::SetLoad { model, .. }
            | Self::Pause { model, .. }
            | Self::Reload { model, .. } => vec![model],
            Self::TransferCores { .. }
            | Self::SetCores { .. }
            | Self::SetReserve { .. }
            | Self::SetWeight { .. }
            | Self::SetSlo { .. }
            | Self::SetMemory { .. }
            | Self::SetRow { .. }
            | Self::Rename { .. }
            | Self::Add { .. }
            | Self::Remove { .. }
            | Self::Load { .. } => Vec::new(),
        }
    }
}

/// Edits that are applied in order, all of them or none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Change {
    /// The edits; an empty change is refused.
    pub edits: Vec<Edit>,
}

impl Change {
    /// Returns the renames in order, each as the old and the new name.
    pub fn renames(&self) -> impl Iterator<Item = (&str, &str)> {
        self.edits.iter().filter_map(|edit| match edit {
            Edit::Rename { model, to } => Some((model.as_str(), to.as_str())),
            _ => None,
        })
    }
}

impl From<Edit> for Change {
    fn from(edit: Edit) -> Self {
        Self { edits: vec![edit] }
    }
}
