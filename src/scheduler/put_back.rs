//! A build in the background that failed: what served before serves on, the row goes back to it, and
//! the journal says why.

use std::time::Instant;

use super::force;
use super::owner::Owner;
use super::slot::{Served, Slot, setup};
use crate::engine::InstanceSetup;
use crate::layout::{Auto, Change, Edit, Row};
use crate::telemetry::Author;

/// What could not be built, in words.
pub fn words(setup: &InstanceSetup) -> String {
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
        self.put_back(name, None, reason, told);
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
            slot.served = Some(Served { gpu, gpu_memory, concurrency: budget.concurrency });
        }
    }

    /// A batch was given up.
    pub(super) fn build_failed(&mut self, name: &str, failed: InstanceSetup, reason: &str) {
        let told = format!("{} could not be built: {reason}", words(&failed));
        self.put_back(name, Some(failed), reason, told);
    }

    fn put_back(&mut self, name: &str, failed: Option<InstanceSetup>, reason: &str, told: String) {
        let before = self.desired.clone();
        let (Some(slot), Some(row)) = (self.slots.get_mut(name), before.row(name)) else { return };
        let serving = slot.pool.setup().filter(|_| slot.pool.seats().serving > 0);
        let Some(serving) = serving else {
            slot.fail(reason.to_owned());
            return;
        };
        let edits = edits(slot, row, failed, serving);
        let change = Change { edits };
        // Where nothing of the row differs there is nothing to put back: the screen says what is
        // missing.
        if let Ok(mut plan) = before.plan(&change, &self.description) {
            plan.warnings.push(told);
            self.commit(plan, change, Author::Scheduler, Instant::now(), None);
        }
    }
}

/// What makes the row ask for what serves.
fn edits(
    slot: &Slot,
    row: &Row,
    failed: Option<InstanceSetup>,
    serving: InstanceSetup,
) -> Vec<Edit> {
    let model = || row.budget.name.clone();
    let mut edits = Vec::new();
    if row.threads != serving.threads && failed.is_some() {
        edits.push(Edit::SetThreads { model: model(), threads: Auto::Exactly(serving.threads) });
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
