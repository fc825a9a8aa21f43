//! The consequences of a change, known before it is applied. `DesiredState::plan` computes them.

use serde::{Deserialize, Serialize};

use super::desired::{DesiredState, Ledger};
use super::sharing_plan::SharingPlan;
use crate::machine::CpuSet;

/// A row before and after a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RowPlan {
    /// The model, by its name after the change.
    pub model: String,
    /// Its name before the change, if the change renames it.
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
    /// Threads per instance before.
    pub threads_before: usize,
    /// Threads per instance after.
    pub threads_after: usize,
    /// True if instances must be rebuilt in the background.
    pub rebuild: bool,
    /// The duration of the last such build of this model, in microseconds, if there was one.
    pub last_build_us: Option<u64>,
    /// Cores of the row that stay idle when all its instances run.
    pub idle_cores: usize,
}

/// The consequences of a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Plan {
    /// The state after the change.
    pub after: DesiredState,
    /// The ledger after the change.
    pub ledger: Ledger,
    /// The rows that change, in layout order.
    pub rows: Vec<RowPlan>,
    /// The change in one line: "detector 4 -> 5 cores, ocr 2 -> 1".
    pub summary: String,
    /// Warnings, for example about oversubscription, idle cores or a model without cores.
    pub warnings: Vec<String>,
    /// Loaded models whose rows change, with the new charges. Filled in where loaded models are known.
    #[serde(default)]
    pub sharing: Vec<SharingPlan>,
}

/// The most threads per core that are applied without a question.
pub const MOST_THREADS_PER_CORE: usize = 16;

/// A row that asks for far more threads than it has cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExcessiveRow {
    /// The model, by its name after the change.
    pub model: String,
    /// Active instances.
    pub instances: usize,
    /// Threads per instance.
    pub threads: usize,
    /// Cores, 1 or more.
    pub cores: usize,
}

impl ExcessiveRow {
    /// Returns the number of threads per core.
    pub fn threads_per_core(&self) -> usize {
        self.instances.saturating_mul(self.threads) / self.cores.max(1)
    }
}

impl Plan {
    /// Returns the rows that ask for more than [`MOST_THREADS_PER_CORE`], except those that did so
    /// before with at least half as many threads.
    pub fn excessive_rows(&self) -> Vec<ExcessiveRow> {
        let excessive = |row: &RowPlan| {
            let threads = row.concurrency_after.saturating_mul(row.threads_after);
            let before = row.concurrency_before.saturating_mul(row.threads_before);
            let (cores, cores_before) = (row.cores_after.len(), row.cores_before.len());
            let is_excessive =
                |threads: usize, cores: usize| threads > MOST_THREADS_PER_CORE * cores.max(1);
            let is_known = is_excessive(before, cores_before) && before >= threads.div_ceil(2);
            (cores > 0 && is_excessive(threads, cores) && !is_known).then(|| ExcessiveRow {
                model: row.model.clone(),
                instances: row.concurrency_after,
                threads: row.threads_after,
                cores,
            })
        };
        self.rows.iter().filter_map(excessive).collect()
    }
}
