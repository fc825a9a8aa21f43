//! A build in the background that failed: what served before serves on, the row goes back to it, and
//! the journal says why.

use std::time::Instant;

use super::force;
use super::owner::Owner;
use super::slot::{ServedBudget, Slot, setup};
use crate::engine::InstanceSetup;
use crate::layout::{Auto, Change, Edit, Row};
use crate::telemetry::Author;

/// What could not be built, in words.
pub(super) fn describe(setup: &InstanceSetup) -> String {
    match setup.device {
        Some(device) => format!("instances on CUDA device {}", device.ordinal),
        None => format!("{} threads", setup.threads),
    }
}

impl Owner {
    /// Orders the instances that a row needs. A GPU that cannot be used from this process is a build
    /// that failed.
    pub(super) fn build(&mut self, row: &Row) {
        let all = self.desired.clone();
        if let Err(reason) = force::build(row, &all, &self.slots, &self.description) {
            tracing::error!("{}: {reason}", row.budget.name);
            self.unusable(&row.budget.name, &reason);
        }
    }

    /// A row's GPU cannot be used from this process.
    pub(super) fn unusable(&mut self, name: &str, reason: &str) {
        let all = self.desired.clone();
        let Some(gpu) = all.row(name).and_then(|row| row.budget.gpu.as_ref()) else { return };
        let told = format!("instances on {} could not be built: {reason}", gpu.title());
        self.roll_back(name, None, reason, told);
    }

    /// Notes what a row asked for when the setup that serves now was built for it.
    pub(super) fn note_served(&mut self, name: &str, built: InstanceSetup) {
        let all = self.desired.clone();
        let Some(row) = all.row(name) else { return };
        if setup(row, &all, &self.description.gpus).as_ref() == Ok(&built)
            && let Some(slot) = self.slots.get_mut(name)
        {
            let budget = &row.budget;
            let (gpu, gpu_memory) = (budget.gpu.clone(), budget.gpu_memory);
            let (threads, concurrency) = (budget.threads, budget.concurrency);
            slot.served = Some(ServedBudget { threads, gpu, gpu_memory, concurrency });
        }
    }

    /// A row changed: where what serves is as it asks for, that is what it is to go back to.
    pub(super) fn note_row(&mut self, row: &Row) {
        let name = &row.budget.name;
        let pool = self.slots.get(name).map(|slot| &slot.pool);
        let serves = pool.filter(|pool| pool.warming().is_none() && pool.seats().any());
        if let Some(setup) = serves.and_then(|pool| pool.setup()) {
            self.note_served(name, setup);
        }
    }

    /// A batch was given up.
    pub(super) fn build_failed(&mut self, name: &str, failed: InstanceSetup, reason: &str) {
        let told = format!("{} could not be built: {reason}", describe(&failed));
        self.roll_back(name, Some(failed), reason, told);
    }

    fn roll_back(&mut self, name: &str, failed: Option<InstanceSetup>, reason: &str, told: String) {
        let before = self.desired.clone();
        let (Some(slot), Some(row)) = (self.slots.get_mut(name), before.row(name)) else { return };
        if slot.has_no_instances_or_builds() {
            slot.fail(reason.to_owned());
            return self.publish_loads();
        }
        let Some(serving) = slot.pool.setup() else { return };
        let as_it_was = slot.served.as_ref().map(|served| served.threads);
        let as_it_is = Auto::Exactly(serving.threads);
        for threads in as_it_was.into_iter().chain([as_it_is]) {
            let changed = (row.threads != serving.threads && failed.is_some()).then_some(threads);
            let change = Change { edits: edits(slot, row, changed, serving) };
            // Where nothing of the row differs there is nothing to put back: the screen says what is
            // missing.
            let Ok(mut plan) = before.plan(&change, &self.description) else { continue };
            let width = plan.after.row(name).map(|row| row.threads);
            // What was asked for may mean the width that failed by now.
            if changed.is_some() && width != Some(serving.threads) {
                continue;
            }
            plan.warnings.push(told);
            let gone = self.history.taken_back(&before, &plan.after);
            self.commit(plan, change, Author::Scheduler, Instant::now(), gone);
            return;
        }
    }
}

/// What makes the row ask for what serves; its threads where they are to change.
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
    // another number of instances has each hold another part of the limit
    let each = row.gpu_memory_each().map(|bytes| bytes.0);
    let had = serving.device.and_then(|device| device.memory);
    if served.gpu.is_some() && each != had && budget.concurrency != served.concurrency {
        edits.push(Edit::SetConcurrency { model: model(), concurrency: served.concurrency });
    }
    edits
}
