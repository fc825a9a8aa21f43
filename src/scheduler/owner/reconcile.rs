//! Brings the slots and workloads from one desired state to the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::enforce::{self, Transition};
use super::lend;
use super::models::LiveModels;
use super::open_changes::BuildEffect;
use super::row_changes::{has_changed, renames};
use super::stage_timer::StageTimer;
use super::successors;
use crate::engine::EngineKind;
use crate::layout::{DesiredState, Row, SharingRule, sharers};
use crate::scheduler::loading::instance_setup;
use crate::scheduler::messages::OwnerMessage;
use crate::scheduler::model_key::ModelKey;
use crate::scheduler::slot::LoadPhase;
use crate::scheduler::workload::Workload;

/// The outcome of enforcing a desired state.
pub(super) struct Reconciled {
    /// When it was in force.
    pub(super) in_force: Instant,
    /// The differences that the kernel shows, each with its model's name.
    pub(super) differences: Vec<String>,
    /// The workloads of the rows that changed.
    pub(super) changed: Vec<Arc<dyn Workload>>,
    /// The effects on the builds of models, by the generations of their slots.
    pub(super) builds: BTreeMap<u64, BuildEffect>,
}

impl LiveModels {
    /// Enforces `after`: removes, renames and adds slots, then enforces the rows of all models.
    pub(super) fn reconcile(
        &mut self,
        before: &DesiredState,
        after: &DesiredState,
        timer: &mut StageTimer,
    ) -> Reconciled {
        self.remove_slots(before, after);
        self.slots.rename(&renames(before, after));
        let mut builds = self.add_slots(after);
        lend::end_loans_of_change(self, before, after);
        self.draining.move_off_reserved_cores(after, self.description.limits.allowed);
        self.loads.place_threads(after, &self.description);
        if let Some(processes) = self.loads.processes() {
            processes.set_reserved(enforce::reserved(after));
        }
        timer.end(|stages| &mut stages.models_us);
        let mut found = enforce::enforce(
            &Transition { before, after, slots: &self.slots, machine: &self.description },
            timer,
        );
        let in_force = timer.last();
        let mut changed = Vec::new();
        self.set_sharers(after);
        let machine = self.description.clone();
        // A change of one row may alter whether another one spins.
        let is_another_setup = |new: &Row| {
            before.counterpart(new, after).is_none_or(|old| {
                let setups = [(old, before), (new, after)];
                let [old, new] = setups.map(|(row, all)| instance_setup(row, all, &machine.gpus));
                old != new
            })
        };
        for row in &after.rows {
            builds.extend(successors::start(self, row, after));
            let is_changed = has_changed(before.counterpart(row, after), row);
            if let Some(slot) = self.slots.get_mut(&row.budget.name) {
                if is_changed {
                    slot.retry();
                    changed.push(slot.workload.clone());
                }
                if let Some(lines) = found.get_mut(&row.budget.name) {
                    if slot.difference.is_some() {
                        // Includes the differences that an earlier change left.
                        *lines = enforce::place(row, after, slot, &self.description);
                    }
                    slot.renewals = 0;
                    enforce::note_differences(row, after, slot, lines);
                    *lines = slot.difference.iter().cloned().collect();
                }
            }
            if is_changed {
                self.record_served_row(row);
            }
            if is_changed || found.contains_key(&row.budget.name) || is_another_setup(row) {
                builds.extend(self.build_after_change(row, after));
            }
        }
        let differences = found
            .into_iter()
            .flat_map(|(name, lines)| lines.into_iter().map(move |line| format!("{name}: {line}")))
            .collect();
        Reconciled { in_force, differences, changed, builds }
    }

    /// Sets the number of rows that will share the loaded model of each row.
    pub(super) fn set_sharers(&self, after: &DesiredState) {
        for row in &after.rows {
            let Some(slot) = self.slots.get(&row.budget.name) else { continue };
            let Some(pool) = &slot.pool else { continue };
            // Rows with a budget only: others have nothing to compare with.
            if row.budget.memory.is_some() {
                let rule = match slot.engine {
                    Some(EngineKind::OnnxRuntime) => SharingRule::OneThread,
                    _ => SharingRule::AnyThreads,
                };
                pool.set_sharers(sharers(after, row, rule));
            }
        }
    }

    /// Removes the slots of models that are not in `after`, or that have to be loaded again for it.
    fn remove_slots(&mut self, before: &DesiredState, after: &DesiredState) {
        for old in &before.rows {
            let name = &old.budget.name;
            let new = after.counterpart(old, before);
            let is_removed = new.is_none_or(|new| self.must_reload(old, new));
            if is_removed && let Some(slot) = self.slots.remove(name) {
                self.draining.add(slot.workload);
                if let Some(successor) = slot.successor {
                    self.draining.add(successor.workload);
                }
            }
        }
    }

    /// Returns true if a row's model must be loaded again and nothing of it serves meanwhile. Another
    /// memory budget is a new attempt for a model that failed to load.
    fn must_reload(&self, old: &Row, new: &Row) -> bool {
        let Some(slot) = self.slots.get(&old.budget.name) else { return true };
        let serves = matches!(slot.phase, LoadPhase::Loaded) && slot.seats().any();
        (!serves && successors::is_other_model(slot, new))
            || (new.budget.memory != old.budget.memory && slot.has_failed_to_load())
    }

    /// Starts loading the models that have no slot yet. Returns their builds.
    fn add_slots(&mut self, after: &DesiredState) -> BTreeMap<u64, BuildEffect> {
        let mut builds = BTreeMap::new();
        for row in &after.rows {
            let name = &row.budget.name;
            if self.slots.get(name).is_none() {
                let slot = self.loads.start(row, None, after, &self.description);
                // processes have nothing to build
                if slot.pool.is_some() {
                    builds.insert(slot.generation, BuildEffect::Started);
                }
                self.slots.insert(name.clone(), slot);
            }
        }
        builds
    }

    /// Starts the builds of a row. An unusable GPU is handled after this change, since it may roll
    /// the row back. Returns the slot's generation and the effect on its builds, if there is one.
    fn build_after_change(&self, row: &Row, after: &DesiredState) -> Option<(u64, BuildEffect)> {
        let name = &row.budget.name;
        let slot = self.slots.get(name)?;
        if slot.successor.is_some() {
            // This change's setup is for the successor; its build may have begun already.
            let _ = self.owner.send(OwnerMessage::SuccessorChanged { slot: slot.generation });
            return None;
        }
        let before = slot.batch();
        if let Err(reason) = enforce::build(row, after, &self.slots, &self.description) {
            let key = ModelKey { name: name.clone(), generation: slot.generation };
            // This thread has the receiver.
            let _ = self.owner.send(OwnerMessage::GpuUnusable { key, reason });
            return Some((slot.generation, BuildEffect::UnusableGpu));
        }
        let now = slot.batch();
        let effect = if now.is_some() { BuildEffect::Started } else { BuildEffect::Dropped };
        (now != before).then_some((slot.generation, effect))
    }
}
