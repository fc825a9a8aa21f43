//! What an operator can ask to be different: a transaction of edits over the live layout. Pure data.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::budget::{Auto, Budget, CoreRequest, Layout, LoadSpec, Objective, QueuePolicy, Slo};
use super::gpu::GpuId;
use super::units::Bytes;
use crate::machine::CpuSet;

/// One end of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoreOwner {
    /// The cores that no model has.
    Free,
    /// A model, by name.
    Model(String),
}

/// Which cores a transfer moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoreSelection {
    /// This many; which ones is decided by placement.
    Count(usize),
    /// Exactly these. They turn a counted row into a list.
    These(CpuSet),
}

/// One edit of the live layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum Edit {
    /// Moves cores. They leave the donor only: other models that share them keep them. With
    /// `share`, the donor keeps them too.
    TransferCores {
        /// Which.
        cores: CoreSelection,
        /// The donor.
        from: CoreOwner,
        /// The receiver.
        to: CoreOwner,
        /// Whether the donor keeps them too.
        share: bool,
    },
    /// Moves instances: `from` loses `count`, `to` gains them. Both numbers become explicit.
    TransferConcurrency {
        /// How many.
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
    /// Sets whether the row's cores are its own alone.
    SetReserve {
        /// The model.
        model: String,
        /// Whether they are.
        reserve: bool,
    },
    /// Sets the number of active instances.
    SetConcurrency {
        /// The model.
        model: String,
        /// The number, or auto.
        concurrency: Auto,
    },
    /// Sets the intra-op threads of an instance.
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
        /// The setting, or `None` for divvy's own rule.
        spinning: Option<bool>,
    },
    /// Sets what its threads get of a shared core.
    SetWeight {
        /// The model.
        model: String,
        /// The weight, 1 to [`Budget::MAX_WEIGHT`].
        weight: u32,
    },
    /// Sets what an automatic split is for.
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
    /// Moves the model onto a GPU, with a limit on what it may hold there, or back to the CPU.
    SetGpu {
        /// The model.
        model: String,
        /// The GPU; `None`: the CPU.
        gpu: Option<GpuId>,
        /// The limit; only with a GPU.
        gpu_memory: Option<Bytes>,
    },
    /// Sets or removes the built-in load.
    SetLoad {
        /// The model.
        model: String,
        /// The load.
        load: Option<LoadSpec>,
    },
    /// Pauses a model (its queue holds) or resumes it.
    Pause {
        /// The model.
        model: String,
        /// Whether it is paused.
        paused: bool,
    },
    /// Replaces a row as a whole; the name says which. A model whose file, engine, sizes or inputs
    /// differ is loaded anew.
    SetRow {
        /// The row.
        budget: Box<Budget>,
        /// The row that it was made of: where the model's is another one by then, the edit is
        /// refused, so that it takes nothing back. `None`: whatever the row is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<Box<Budget>>,
    },
    /// Gives a model another name. The model keeps running, with its cores, its queue and its place.
    Rename {
        /// The model, by its present name.
        model: String,
        /// The new name; no other model may have it.
        to: String,
    },
    /// Adds a model as the last row.
    Add {
        /// The row.
        budget: Box<Budget>,
    },
    /// Removes a model; its requests are drained first.
    Remove {
        /// The model.
        model: String,
    },
    /// Replaces the whole layout. Models of the same name and file go on; others are added or
    /// removed.
    Load {
        /// The new layout.
        layout: Box<Layout>,
    },
}

/// Edits that are applied whole or refused whole, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The edits; an empty change is refused.
    pub edits: Vec<Edit>,
}

impl Change {
    /// The renames in order, each as the old name and the new one.
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

/// Why a change was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{}{reason}", self.prefix())]
pub struct Refusal {
    /// The row that caused it, where one did.
    pub model: Option<String>,
    /// What is wrong and what would be right, in a sentence.
    pub reason: String,
}

impl Refusal {
    const NOTHING: &str = "nothing would change: it is so already";

    /// A refusal of a change that leaves everything as it is.
    pub fn nothing() -> Self {
        Self::whole(Self::NOTHING)
    }

    /// Whether the change was refused only because all is so already.
    pub fn is_nothing(&self) -> bool {
        self.model.is_none() && self.reason == Self::NOTHING
    }

    /// A refusal caused by one row.
    pub fn row(model: &str, reason: impl Into<String>) -> Self {
        Self { model: Some(model.to_owned()), reason: reason.into() }
    }

    /// A refusal of the change as a whole.
    pub fn whole(reason: impl Into<String>) -> Self {
        Self { model: None, reason: reason.into() }
    }

    fn prefix(&self) -> String {
        self.model.as_ref().map_or_else(String::new, |model| format!("{model}: "))
    }
}
