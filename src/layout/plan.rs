//! What a change would do, told before it is applied. Pure data; `DesiredState::plan` computes it.

use serde::{Deserialize, Serialize};

use super::desired::{DesiredState, Ledger};
use super::sharing::SharingPlan;
use crate::machine::CpuSet;

/// One row before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowPlan {
    /// The model, by its name after the change.
    pub model: String,
    /// Its name before, where the change renames it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// Its CPUs before; empty for a model that is added.
    pub cores_before: CpuSet,
    /// Its CPUs after; empty for a model that is removed.
    pub cores_after: CpuSet,
    /// Active instances before.
    pub concurrency_before: usize,
    /// Active instances after.
    pub concurrency_after: usize,
    /// Threads of an instance before.
    pub threads_before: usize,
    /// Threads of an instance after.
    pub threads_after: usize,
    /// Whether instances must be built again in the background.
    pub rebuild: bool,
    /// How long the last such build of this model took, in microseconds, where there was one.
    pub last_build_us: Option<u64>,
    /// Cores of the row that no thread of its instances can use at once.
    pub idle_cores: usize,
}

/// The consequences of a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The state that would be desired.
    pub after: DesiredState,
    /// The account of the machine then.
    pub ledger: Ledger,
    /// The rows that change, in layout order.
    pub rows: Vec<RowPlan>,
    /// One line that says what happens ("detector 4 -> 5 cores, ocr 2 -> 1").
    pub summary: String,
    /// What the operator should know before: oversubscription, idle cores, a model left paused, a
    /// reserved sibling. Empty when there is nothing.
    pub warnings: Vec<String>,
    /// Loaded models whose rows change, with the new charges. Filled in where loaded models are known.
    #[serde(default)]
    pub sharing: Vec<SharingPlan>,
}
