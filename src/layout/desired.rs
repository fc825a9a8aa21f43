//! The desired state: a layout placed on a machine, each row with its cores, threads and instances.

use serde::{Deserialize, Serialize};

use super::budget::{Budget, Layout};
use super::units::Bytes;
use crate::machine::CpuSet;

/// One row of the desired state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Row {
    /// The budget that the layout asks for.
    pub budget: Budget,
    /// The CPUs that every thread of the model may run on. If empty, the model is paused.
    pub cores: CpuSet,
    /// Intra-op threads of one instance, 1 or more.
    pub threads: usize,
    /// Active instances; 0 only if the model is paused or has no cores.
    pub concurrency: usize,
    /// Rises by one whenever a change touched this row.
    pub generation: u64,
    /// Rises by one whenever the model's file is to be loaded again although the row is the same.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub loads: u64,
    /// The identity of the model within a run. It stays the same when the model is renamed, and no
    /// other model ever gets it. 0 in states from before identities existed.
    #[serde(default)]
    pub id: u64,
}

/// Returns true for the usual number, which is not written.
#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The desired state of all models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DesiredState {
    /// The description of the layout.
    pub description: String,
    /// The rows, in the order of the layout.
    pub rows: Vec<Row>,
    /// The identity of the next model that is added.
    #[serde(default)]
    pub(super) next_id: u64,
}

/// The machine's account: which cores and how much memory the models have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ledger {
    /// CPUs that this process may use.
    pub allowed: CpuSet,
    /// CPUs that at least one model has.
    pub allotted: CpuSet,
    /// CPUs that no model has.
    pub free: CpuSet,
    /// CPUs that two or more models have.
    pub shared: CpuSet,
    /// CPUs that one model has reserved.
    pub reserved: CpuSet,
    /// CPUs that are oversubscribed: more threads may be runnable at once than there are CPUs, however
    /// the kernel places them within their models' CPU sets. All allotted CPUs if they exceed the quota.
    pub oversubscribed: CpuSet,
    /// CPUs that the container may use at a time, on average.
    #[serde(rename = "quota_cpus", alias = "quota")]
    pub quota: Option<f64>,
    /// The number of threads of all active instances, and of processes' threads that may run at once.
    pub threads: usize,
    /// Memory that this process may use, in bytes: the machine's memory or, if lower, the limit of the
    /// container; `None` if neither is known.
    #[serde(default, rename = "memory_limit_bytes", alias = "memory_limit")]
    pub memory_limit: Option<u64>,
    /// The sum of all memory budgets, in bytes.
    #[serde(default, rename = "memory_budgeted_bytes", alias = "memory_budgeted")]
    pub memory_budgeted: u64,
}

impl Row {
    /// Returns the GPU memory limit of each instance: the model's limit divided by its concurrency.
    pub fn gpu_memory_each(&self) -> Option<Bytes> {
        let limit = self.budget.gpu_memory?;
        Some(Bytes((limit.0 / self.concurrency.max(1) as u64).max(1)))
    }
}

impl DesiredState {
    /// Returns the state with these rows, as a snapshot shows them.
    pub fn from_rows(description: String, rows: Vec<Row>) -> Self {
        let next_id = rows.iter().map(|row| row.id + 1).max().unwrap_or_default();
        Self { description, rows, next_id }
    }

    /// Returns the row of a model.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.budget.name == name)
    }

    /// Returns the row of the same model in this state, whatever its name; `row` is a row of `state`.
    /// Models are matched by identity, then by name if no row of `state` has that identity.
    pub fn counterpart(&self, row: &Row, state: &Self) -> Option<&Row> {
        let same = self.rows.iter().find(|other| other.id == row.id && row.id != 0);
        let has = |id: u64| id != 0 && state.rows.iter().any(|other| other.id == id);
        same.or_else(|| self.row(&row.budget.name).filter(|other| !has(other.id)))
    }

    /// Returns the layout, as it would be saved.
    pub fn layout(&self) -> Layout {
        Layout {
            description: self.description.clone(),
            models: self.rows.iter().map(|row| row.budget.clone()).collect(),
        }
    }
}
