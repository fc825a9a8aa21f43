//! The desired state: the layout met with a machine, each row with its cores, threads and instances.

use serde::{Deserialize, Serialize};

use super::budget::{Budget, Layout};
use super::units::Bytes;
use crate::machine::CpuSet;

/// One row of the desired state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was asked for.
    pub budget: Budget,
    /// The CPUs on which every thread of the model may run. Empty: the model is paused.
    pub cores: CpuSet,
    /// Intra-op threads of one instance, 1 or more.
    pub threads: usize,
    /// Active instances; 0 only when the model is paused or has no cores.
    pub concurrency: usize,
    /// Rises by one whenever a change touched this row.
    pub generation: u64,
    /// The model's identity, unique among all models of a run: it stays the same when the model is
    /// renamed, and is never given to another model. 0 in states recorded before there were any.
    #[serde(default)]
    pub id: u64,
}

/// All rows, in the layout's order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DesiredState {
    /// The layout's free text.
    pub description: String,
    /// The rows.
    pub rows: Vec<Row>,
    /// The identity that the next model gets.
    #[serde(default)]
    pub(super) next_id: u64,
}

/// Allotted, free and oversubscribed: the machine's account, always on screen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// CPUs on which more threads may be runnable at once than there are CPUs, however the kernel
    /// places them within their models' sets; all allotted CPUs where they are more than the quota.
    pub oversubscribed: CpuSet,
    /// CPU time per wall time that the container allows, in CPUs.
    pub quota: Option<f64>,
    /// Threads of all active instances together.
    pub threads: usize,
    /// Memory that this process may use, in bytes: the machine's, or the container's limit where
    /// that is lower; `None` where neither is known.
    #[serde(default)]
    pub memory_limit: Option<u64>,
    /// Memory budgets of all models that have one, in bytes.
    #[serde(default)]
    pub memory_budgeted: u64,
}

impl Row {
    /// What each instance may hold on its GPU: the limit, divided among those that may run at once.
    pub fn gpu_memory_each(&self) -> Option<Bytes> {
        let limit = self.budget.gpu_memory?;
        Some(Bytes((limit.0 / self.concurrency.max(1) as u64).max(1)))
    }
}

impl DesiredState {
    /// The row of a model.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.budget.name == name)
    }

    /// The row of the same model here, whatever its name: `row` is a row of `state`. Without a
    /// common identity, a row of the same name, unless it is another model of `state`.
    pub fn counterpart(&self, row: &Row, state: &Self) -> Option<&Row> {
        let same = self.rows.iter().find(|other| other.id == row.id && row.id != 0);
        let has = |id: u64| id != 0 && state.rows.iter().any(|other| other.id == id);
        same.or_else(|| self.row(&row.budget.name).filter(|other| !has(other.id)))
    }

    /// The layout as it would be saved.
    pub fn layout(&self) -> Layout {
        Layout {
            description: self.description.clone(),
            models: self.rows.iter().map(|row| row.budget.clone()).collect(),
        }
    }
}
