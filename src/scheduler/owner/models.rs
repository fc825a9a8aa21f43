//! The live models: the desired state, the machine, and a slot per model.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::drain::DrainingWorkloads;
use super::enforce;
use super::load::ModelLoads;
use super::loans::Loans;
use super::own_change::OwnChange;
use super::rollback::FailedRow;
use super::successors;
use crate::engine::{EngineError, InstanceSetup};
use crate::layout::{DesiredState, Plan, Row};
use crate::machine::{Description, Machine};
use crate::scheduler::loading::{LoadedModel, Loader, instance_setup};
use crate::scheduler::messages::OwnerMessage;
use crate::scheduler::model_key::ModelKey;
use crate::scheduler::slot::{ServedBudget, Slot, Slots};
use crate::telemetry::StateVersion;

/// The live models.
pub(super) struct LiveModels {
    /// The version of `description` and `desired`.
    pub(super) version: StateVersion,
    pub(super) description: Arc<Description>,
    pub(super) desired: Arc<DesiredState>,
    pub(super) slots: Slots,
    pub(super) loans: Loans,
    pub(super) draining: DrainingWorkloads,
    pub(super) loads: ModelLoads,
    /// The owner's own messages: for what has to wait until the present change is complete.
    pub(super) owner: Sender<OwnerMessage>,
}

impl LiveModels {
    /// The desired state, without any slot yet.
    pub(super) fn new(
        desired: DesiredState,
        description: Description,
        machine: Arc<dyn Machine>,
        loader: Arc<dyn Loader>,
        owner: Sender<OwnerMessage>,
    ) -> Self {
        Self {
            version: StateVersion::default().next(),
            description: Arc::new(description),
            desired: Arc::new(desired),
            slots: Slots::default(),
            loans: Loans::default(),
            draining: DrainingWorkloads::default(),
            loads: ModelLoads::new(machine, loader, owner.clone()),
            owner,
        }
    }

    /// Makes another state the desired one, and returns the one before.
    pub(super) fn replace_desired(&mut self, after: Arc<DesiredState>) -> Arc<DesiredState> {
        self.version = self.version.next();
        std::mem::replace(&mut self.desired, after)
    }

    /// Makes another machine the present one.
    pub(super) fn replace_machine(&mut self, found: Description) {
        self.version = self.version.next();
        self.description = Arc::new(found);
    }

    /// Takes a loaded model, or the reason why it did not load. Returns a rollback if its instances
    /// cannot be built.
    pub(super) fn take_loaded(
        &mut self,
        key: &ModelKey,
        result: Result<LoadedModel, EngineError>,
    ) -> Option<OwnChange> {
        self.loads.place_threads(&self.desired, &self.description);
        if let Some(name) = self.slots.name_of_successor(key.generation) {
            return successors::take_loaded(self, &name, result);
        }
        let name = self.slots.name_of(key)?;
        let desired = self.desired.clone();
        let slot = self.slots.get_mut(&name)?;
        match result.and_then(|loaded| slot.install(loaded, None)) {
            Ok(()) => {
                tracing::info!("{name}: loaded with {}", slot.title);
                let row = desired.row(&name);
                if let Some(reason) = row.and_then(|row| slot.missing_guess(&row.budget)) {
                    tracing::error!("{name}: {reason}");
                    slot.fail(reason);
                } else if let Some(reason) = &slot.requests.untried {
                    tracing::warn!("{name}: not tried: {reason}");
                }
            }
            Err(error) => {
                tracing::error!("{name}: {error}");
                slot.fail(error.to_string());
            }
        }
        self.build(&name)
    }

    /// Builds the instances that a row needs, in the background. Returns a rollback if this process
    /// cannot use the row's GPU.
    pub(super) fn build(&mut self, name: &str) -> Option<OwnChange> {
        let all = self.desired.clone();
        let row = all.row(name)?;
        if self.slots.get(name)?.successor.is_some() {
            // The row's setup is the successor's.
            return None;
        }
        let reason = enforce::build(row, &all, &self.slots, &self.description).err()?;
        tracing::error!("{name}: {reason}");
        self.roll_back_gpu(name, &reason)
    }

    /// Returns the rollback of a row whose GPU this process cannot use; `None` if the row has been
    /// changed meanwhile and can be built.
    pub(super) fn roll_back_gpu(&mut self, name: &str, reason: &str) -> Option<OwnChange> {
        let all = self.desired.clone();
        let row = all.row(name)?;
        let gpu = row.budget.gpu.as_ref()?;
        instance_setup(row, &all, &self.description.gpus).err()?;
        let message = format!("instances on {} could not be built: {reason}", gpu.title());
        self.roll_back(name, &FailedRow { setup: None, reason: reason.to_owned(), message })
    }

    /// Returns the rollback of a row whose instances could not be built. A model without any instance
    /// fails instead.
    pub(super) fn roll_back(&mut self, name: &str, failed: &FailedRow) -> Option<OwnChange> {
        let all = self.desired.clone();
        let slot = self.slots.get_mut(name)?;
        if slot.has_no_instances_or_builds() {
            slot.fail(failed.reason.clone());
            return None;
        }
        failed.rollback(slot, all.row(name)?, &all, &self.description)
    }

    /// If a row still asks for the setup that was just built, records its settings as the rollback
    /// target.
    pub(super) fn record_served(&mut self, name: &str, built: InstanceSetup) {
        let all = self.desired.clone();
        let Some(row) = all.row(name) else { return };
        if instance_setup(row, &all, &self.description.gpus).as_ref() == Ok(&built)
            && let Some(slot) = self.slots.get_mut(name)
        {
            let budget = &row.budget;
            // With fewer instances than the row asks for, the number that served before is the target.
            let before = slot.served.as_ref().map(|served| served.concurrency);
            let before = before.filter(|_| slot.seats().serving < row.concurrency);
            slot.served = Some(ServedBudget {
                threads: budget.threads,
                gpu: budget.gpu.clone(),
                gpu_memory: budget.gpu_memory,
                concurrency: before.unwrap_or(budget.concurrency),
            });
        }
    }

    /// If no build is pending and the serving instances match a changed row, records its settings as
    /// the rollback target.
    pub(super) fn record_served_row(&mut self, row: &Row) {
        let name = &row.budget.name;
        let slot = self.slots.get(name);
        let serving = slot.filter(|slot| slot.warming().is_none() && slot.seats().any());
        if let Some(setup) = serving.and_then(Slot::setup) {
            self.record_served(name, setup);
        }
    }

    /// Fills in how long the last build of each row of a plan took.
    pub(super) fn add_build_times(&self, plan: &mut Plan) {
        for row in &mut plan.rows {
            let took = self.slots.get(&row.model).and_then(|slot| slot.last_build);
            row.last_build_us = took.map(|took| took.as_micros() as u64);
        }
    }
}
