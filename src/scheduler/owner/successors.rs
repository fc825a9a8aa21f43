//! Successors of serving models: another file or engine is loaded beside the serving one, and takes
//! over once its instances have run their trial requests. If that fails, the row is rolled back.

use super::enforce;
use super::models::LiveModels;
use super::open_changes::BuildEffect;
use super::own_change::{OwnChange, OwnChangeReason};
use crate::engine::EngineError;
use crate::layout::{Budget, Change, DesiredState, Edit, Row, counted, edits_between};
use crate::pool::{BuildReport, PoolEvent};
use crate::scheduler::loading::{LoadedModel, instance_setup};
use crate::scheduler::slot::{LoadPhase, Slot};

/// Returns true if a slot's model is not the one that a row asks for. A model without a trial request is
/// loaded again for a load, which needs a guess that works.
pub(super) fn is_other_model(slot: &Slot, row: &Row) -> bool {
    let (old, new) = (&*slot.loaded_for, &row.budget);
    if let (Some(process), Some(source)) = (&slot.process, new.source.process()) {
        return !process.has_same_processes(source);
    }
    row.loads != slot.loads
        || (&new.source, new.engine, &new.dims, &new.inputs)
            != (&old.source, old.engine, &old.dims, &old.inputs)
        || new.recording() != old.recording()
        || (slot.is_loaded_untried() && new.load.is_some())
}

/// Starts the successor of a row's slot if the row asks for another model, and drops one that it no
/// longer asks for. Returns the effect on the builds.
pub(super) fn start(
    models: &mut LiveModels,
    row: &Row,
    after: &DesiredState,
) -> Vec<(u64, BuildEffect)> {
    let mut effects = Vec::new();
    let budget = &row.budget;
    let Some(slot) = models.slots.get_mut(&budget.name) else { return effects };
    let is_wanted = is_other_model(slot, row);
    let is_unfit = |successor: &mut Box<Slot>| !is_wanted || is_other_model(successor, row);
    if let Some(old) = slot.successor.take_if(is_unfit) {
        effects.push((old.generation, BuildEffect::Dropped));
        models.draining.add(old.workload);
    }
    if is_wanted && slot.successor.is_none() {
        let effective = slot.effective_cores;
        let successor = models.loads.start(row, effective, after, &models.description);
        effects.push((successor.generation, BuildEffect::Started));
        if let Some(slot) = models.slots.get_mut(&budget.name) {
            slot.successor = Some(Box::new(successor));
        }
    }
    effects
}

/// Takes a successor's loaded model, or the reason why it did not load. Returns the rollback if it
/// cannot be used.
pub(super) fn take_loaded(
    models: &mut LiveModels,
    name: &str,
    result: Result<LoadedModel, EngineError>,
) -> Option<OwnChange> {
    let all = models.desired.clone();
    let slot = models.slots.get_mut(name)?;
    let successor = slot.successor.as_mut()?;
    match result.and_then(|loaded| successor.install(loaded, slot.pool.as_deref())) {
        Ok(()) => {
            tracing::info!("{name}: {} is loaded; the old model serves", successor.title);
            match all.row(name).and_then(|row| successor.missing_guess(&row.budget)) {
                Some(reason) => roll_back(models, name, &reason),
                None => build(models, name),
            }
        }
        Err(error) => roll_back(models, name, &error.to_string()),
    }
}

/// Builds the instances of a loaded successor. Returns the rollback if this process cannot use the
/// row's GPU.
pub(super) fn build(models: &mut LiveModels, name: &str) -> Option<OwnChange> {
    let all = models.desired.clone();
    let row = all.row(name)?;
    let successor = models.slots.get(name)?.successor.as_ref()?;
    if !matches!(successor.phase, LoadPhase::Loaded) {
        return None;
    }
    match instance_setup(row, &all, &models.description.gpus) {
        Ok(setup) => {
            // Of a paused model, one instance runs the trial request.
            if let Some(pool) = &successor.pool {
                pool.ensure(row.concurrency.max(1), setup);
            }
            None
        }
        Err(reason) => roll_back(models, name, &reason),
    }
}

/// Handles an event of a successor's pool. Returns a rollback if it could not be built.
pub(super) fn handle(models: &mut LiveModels, name: &str, event: PoolEvent) -> Option<OwnChange> {
    match event {
        PoolEvent::Built(report) => take_over(models, name, &report),
        PoolEvent::BuildFailed { id, setup, reason } => {
            let successor = models.slots.get(name)?.successor.as_ref()?;
            // Other instances may be built for a later change by now.
            if successor.pool.as_ref().is_some_and(|pool| pool.is_newest(id)) {
                let threads = counted(setup.threads, "thread");
                return roll_back(models, name, &format!("with {threads}: {reason}"));
            }
            None
        }
        // Its threads are placed when it takes over, and missing instances are built then.
        PoolEvent::PlacementMismatch { .. } | PoolEvent::InstanceLost { .. } => None,
    }
}

/// Makes a successor the slot of its row. The old pool still answers its requests.
fn take_over(models: &mut LiveModels, name: &str, report: &BuildReport) -> Option<OwnChange> {
    let all = models.desired.clone();
    let row = all.row(name)?;
    let slot = models.slots.get_mut(name)?;
    let mut successor = *slot.successor.take()?;
    successor.last_build = Some(report.took);
    successor.effective_cores = slot.effective_cores;
    successor.offered = slot.offered.clone();
    // The row may have changed since the successor was made.
    successor.workload.set_memory(row.budget.memory.map(|bytes| bytes.0));
    if let Some(pool) = &successor.pool {
        pool.set_queue(row.budget.queue);
        pool.set_bound(row.concurrency);
    }
    if let (Some(new), Some(old)) = (&successor.pool, &slot.pool) {
        new.continue_recording(old);
    }
    models.loans.rename(slot.generation, successor.generation);
    let old = std::mem::replace(slot, successor);
    models.draining.add(old.workload);
    let found = enforce::place(row, &all, slot, &models.description);
    enforce::note_differences(row, &all, slot, &found);
    tracing::info!("{name}: {} serves now", slot.title);
    models.set_sharers(&all);
    let rollback = models.build(name);
    models.record_served(name, report.setup);
    rollback
}

/// Returns the change that makes a row ask for the model that serves.
fn roll_back(models: &mut LiveModels, name: &str, reason: &str) -> Option<OwnChange> {
    let all = models.desired.clone();
    let row = all.row(name)?;
    let slot = models.slots.get_mut(name)?;
    let successor = slot.successor.as_ref()?.generation;
    let served = slot.loaded_for.clone();
    let mut budget = Budget {
        source: served.source.clone(),
        engine: served.engine,
        dims: served.dims.clone(),
        inputs: served.inputs.clone(),
        ..row.budget.clone()
    };
    if budget.recording() != served.recording() || slot.is_loaded_untried() {
        budget.load.clone_from(&served.load);
    }
    tracing::error!("{name}: the new model cannot serve, the old one stays: {reason}");
    let mut change = Change { edits: edits_between(&row.budget, &budget) };
    if row.loads != slot.loads {
        change.edits.push(Edit::Reload { model: name.to_owned(), number: Some(slot.loads) });
    }
    match all.plan(&change, &models.description) {
        Ok(mut plan) => {
            plan.warnings.push(reason.to_owned());
            let reason =
                OwnChangeReason::FailedBuild { slot: successor, reason: reason.to_owned() };
            Some(OwnChange { reason, plan, change })
        }
        Err(refusal) => {
            tracing::error!("{name}: its row cannot be rolled back: {refusal}");
            if let Some(successor) = &mut slot.successor {
                successor.fail(reason.to_owned());
            }
            None
        }
    }
}
