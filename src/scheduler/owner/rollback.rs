//! Rolls a row back after a failed background build. The previous instances keep serving; the
//! journal records the reason.

use super::own_change::{OwnChange, OwnChangeReason};
use crate::engine::InstanceSetup;
use crate::layout::{Auto, Change, DesiredState, Edit, Row};
use crate::machine::Description;
use crate::scheduler::slot::Slot;

/// A row whose instances could not be built.
pub(super) struct FailedRow {
    /// The setup that failed; `None` if the row's GPU cannot be used at all.
    pub(super) setup: Option<InstanceSetup>,
    pub(super) reason: String,
    /// The warning for the journal.
    pub(super) message: String,
}

impl FailedRow {
    /// Returns the change that makes a row ask for the instances that serve; `None` if it already
    /// does. The slot's `failed_build` reports the failure then.
    pub(super) fn rollback(
        &self,
        slot: &Slot,
        row: &Row,
        all: &DesiredState,
        machine: &Description,
    ) -> Option<OwnChange> {
        let serving = slot.setup()?;
        let as_asked_before = slot.served.as_ref().map(|served| served.threads);
        let as_serving = Auto::Exactly(serving.threads);
        for threads in as_asked_before.into_iter().chain([as_serving]) {
            let threads =
                (row.threads != serving.threads && self.setup.is_some()).then_some(threads);
            let change = Change { edits: edits(slot, row, threads, serving) };
            let Ok(mut plan) = all.plan(&change, machine) else { continue };
            let width = plan.after.row(&row.budget.name).map(|row| row.threads);
            // `auto` threads may by now resolve to the width that failed.
            if threads.is_some() && width != Some(serving.threads) {
                continue;
            }
            plan.warnings.push(self.message.clone());
            let reason = self.message.clone();
            let reason = OwnChangeReason::FailedBuild { slot: slot.generation, reason };
            return Some(OwnChange { reason, plan, change });
        }
        None
    }
}

/// Returns the edits that make a row ask for the serving instances; `threads` is the new number of
/// threads, if that changes.
fn edits(slot: &Slot, row: &Row, threads: Option<Auto>, serving: InstanceSetup) -> Vec<Edit> {
    let model = || row.budget.name.clone();
    let mut edits = Vec::new();
    if let Some(threads) = threads {
        edits.push(Edit::SetThreads { model: model(), threads });
    }
    let Some(served) = &slot.served else { return edits };
    let budget = &row.budget;
    if budget.gpu != served.gpu || budget.gpu_memory != served.gpu_memory {
        let (gpu, gpu_memory) = (served.gpu.clone(), served.gpu_memory);
        edits.push(Edit::SetGpu { model: model(), gpu, gpu_memory });
    }
    // Instances share the memory limit, so another number of them changes the limit of each.
    let limit = row.gpu_memory_each().map(|bytes| bytes.0);
    let serving_limit = serving.device.and_then(|device| device.memory);
    let is_limited = served.gpu.is_some() && limit != serving_limit;
    let is_short = slot.seats().serving < row.concurrency;
    if (is_limited || is_short) && budget.concurrency != served.concurrency {
        edits.push(Edit::SetConcurrency { model: model(), concurrency: served.concurrency });
    }
    edits
}
