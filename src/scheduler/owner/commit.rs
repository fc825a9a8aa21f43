//! Commits changes: enforces a plan and records it in the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::history::{StepChoice, UndoRedoStep};
use super::open_changes::{BuildEffect, StatusUpdate};
use super::own_change::{OwnChange, OwnChangeReason};
use super::row_changes::{has_changed, renames, shadows_model};
use super::stage_timer::StageTimer;
use super::thread::Owner;
use crate::layout::{
    Change, DesiredState, Edit, Plan, Refusal, RefusalKind, SHADOWED, SHADOWED_NAME,
};
use crate::scheduler::change_request::{ChangeOperation, ChangeRequest};
use crate::scheduler::enforceable::{RowRefusals, require_enforceable};
use crate::scheduler::loaded_models::add_sharing;
use crate::scheduler::workload::Workload;
use crate::telemetry::{Applied, Author, ChangeStatus, JournalEntry, Verdict};

/// A change that is about to be committed.
struct Commit {
    plan: Plan,
    change: Change,
    author: Author,
    /// When it was asked for.
    asked: Instant,
    timer: StageTimer,
    /// The undo or redo that this change is.
    step: Option<UndoRedoStep>,
}

impl Owner {
    /// Carries out a request.
    ///
    /// # Errors
    /// [`Refusal`] if it is refused, which counts.
    pub(super) fn request(
        &mut self,
        request: ChangeRequest,
        asked: Instant,
    ) -> Result<Applied, Refusal> {
        let author = request.author.clone();
        let result = self.carry_out(request, asked);
        if result.is_err() {
            self.history.count_refusal(&author);
        }
        result
    }

    fn carry_out(&mut self, request: ChangeRequest, asked: Instant) -> Result<Applied, Refusal> {
        let mut timer = StageTimer::new(asked);
        timer.end(|stages| &mut stages.wait_us);
        let ChangeRequest { operation, author, expected } = request;
        let version = self.models.version;
        if expected.is_some_and(|expected| expected != version) {
            return Err(Refusal::of_kind(
                RefusalKind::StateChanged,
                "another change came first: look at the present state and decide again",
            ));
        }
        let (plan, change, step) = match operation {
            ChangeOperation::Apply(change) => {
                let plan = self.models.desired.plan(&change, &self.models.description)?;
                (plan, change, None)
            }
            ChangeOperation::Undo => self.undo_redo(StepChoice::Undo(&author))?,
            ChangeOperation::UndoChange(id) => self.undo_redo(StepChoice::UndoChange(id))?,
            ChangeOperation::Redo => self.undo_redo(StepChoice::Redo(&author))?,
        };
        let mut commit = Commit { plan, change, author, asked, timer, step };
        require_enforceable(&self.models.desired, &commit.plan.after, |row| {
            let workload = &self.models.slots.get(row)?.workload;
            Some(RowRefusals { read_only: workload.read_only(), weight: workload.weight_refusal() })
        })?;
        self.add_sharing(&mut commit.plan)?;
        Ok(self.commit(commit))
    }

    /// Plans an undo or redo.
    fn undo_redo(
        &self,
        choice: StepChoice<'_>,
    ) -> Result<(Plan, Change, Option<UndoRedoStep>), Refusal> {
        let desired = &self.models.desired;
        let step = self.history.next_step(choice, desired)?;
        let after = desired.cross(&step.from, &step.to, &self.models.description)?;
        let plan = desired.plan_to(after, &self.models.description);
        let layout = Box::new(plan.after.layout());
        Ok((plan, Edit::Load { layout }.into(), Some(step)))
    }

    /// Adds the effects of a change on loaded models that rows share.
    ///
    /// # Errors
    /// A refusal if a row's part of one would grow beyond the row's memory budget.
    fn add_sharing(&self, plan: &mut Plan) -> Result<(), Refusal> {
        // Borrowed only if needed: most changes alter no sharing.
        if !plan.may_alter_sharing(&self.models.desired) {
            return Ok(());
        }
        let snapshot = self.snapshots.borrow().clone();
        add_sharing(plan, &self.models.desired, &snapshot.memory_table)
    }

    /// Commits a change that divvy makes itself.
    pub(super) fn commit_own(&mut self, own: OwnChange) {
        let OwnChange { reason, plan, change } = own;
        let step = match reason {
            OwnChangeReason::FailedBuild { slot, reason } => {
                let update = self.open_changes.roll_back(slot, &reason);
                self.update_statuses(update);
                self.history.reverted_step(&self.models.desired, &plan.after)
            }
            OwnChangeReason::MachineChanged => None,
        };
        let asked = Instant::now();
        let timer = StageTimer::new(asked);
        self.commit(Commit { plan, change, author: Author::Scheduler, asked, timer, step });
    }

    /// Sets the new status of entries.
    pub(super) fn update_statuses(&mut self, updates: impl IntoIterator<Item = StatusUpdate>) {
        for update in updates {
            if update.status == ChangeStatus::InForce {
                self.verdicts.start(update.entry, self.clock.now());
            }
            self.history.update_status(update);
            self.publisher.mark_stale();
        }
    }

    /// Closes the open changes whose builds have ended, after an event of this slot was handled.
    pub(super) fn settle_changes(&mut self, slot: u64) {
        let settled = self.open_changes.settle(&self.models.slots, slot);
        self.update_statuses(settled);
    }

    /// Returns how many instances of a new change are ready; `InForce` if it builds none.
    fn first_status(
        &self,
        builds: &BTreeMap<u64, BuildEffect>,
        after: &DesiredState,
    ) -> ChangeStatus {
        let is_open = |(_, effect): &(&u64, &BuildEffect)| **effect != BuildEffect::Dropped;
        let open: Vec<u64> = builds.iter().filter(is_open).map(|(slot, _)| *slot).collect();
        if open.is_empty() {
            return ChangeStatus::InForce;
        }
        let (ready, total) = self.models.slots.instances_ready(&open, after);
        ChangeStatus::Building { ready, total }
    }

    /// Closes the verdicts that a change cuts short and returns its own, for the models that it
    /// changes in more than their name.
    fn verdicts_of_change(
        &mut self,
        entry: u64,
        before: &DesiredState,
        models: &[String],
    ) -> Vec<Verdict> {
        let (now, after) = (self.clock.now(), self.models.desired.clone());
        let is_touched = |name: &&String| {
            let new = after.row(name);
            new.is_none_or(|new| {
                let old = before.counterpart(new, &after);
                has_changed(old, new) || old.is_some_and(|old| before.nice(old) != after.nice(new))
            })
        };
        let touched: Vec<String> = models.iter().filter(is_touched).cloned().collect();
        self.verdicts.rename(&renames(before, &after));
        let closed = self.verdicts.close_cut_short(&touched, &self.models.slots, now);
        for verdict in closed {
            self.history.complete_verdict(verdict);
        }
        let opened = self.verdicts.open(entry, &touched, &self.models, now);
        self.verdicts.forget_removed(&after);
        opened
    }

    /// Has the recorders of changed workloads begin their metrics since the last change. `in_force` is
    /// the real time at which it was in force.
    pub(super) fn mark_change(&self, changed: Vec<Arc<dyn Workload>>, in_force: Instant) {
        let now = self.clock.now();
        let at = now.checked_sub(in_force.elapsed()).unwrap_or(now);
        self.publisher.mark_change(changed, at);
    }

    fn commit(&mut self, commit: Commit) -> Applied {
        let Commit { mut plan, change, author, asked, mut timer, step } = commit;
        let after = Arc::new(plan.after.clone());
        let before = self.models.replace_desired(after.clone());
        self.models.add_build_times(&mut plan);
        timer.end(|stages| &mut stages.plan_us);
        let reconciled = self.models.reconcile(&before, &after, &mut timer);
        let force_us = reconciled.in_force.saturating_duration_since(asked).as_micros() as u64;
        self.mark_change(reconciled.changed, reconciled.in_force);
        self.publisher.publish_loads(&self.models);
        self.publisher.publish_state(&self.models);
        self.models.draining.start();
        if shadows_model(&before, &after) {
            tracing::warn!("model `{SHADOWED_NAME}`: {SHADOWED}");
        }
        let id = self.history.next_id();
        let models: Vec<String> = plan.rows.iter().map(|row| row.model.clone()).collect();
        let verdicts = self.verdicts_of_change(id, &before, &models);
        let uptime = self.clock.now().saturating_duration_since(self.started);
        let entry = JournalEntry {
            id,
            at_unix_ms: self.clock.unix_ms(),
            uptime_us: uptime.as_micros() as u64,
            author,
            change,
            summary: plan.summary.clone(),
            warnings: plan.warnings.clone(),
            models,
            force_us,
            status: self.first_status(&reconciled.builds, &after),
            built_us: None,
            undone: false,
            undoes: step.as_ref().and_then(UndoRedoStep::undoes),
            redoes: step.as_ref().and_then(UndoRedoStep::redoes),
            verdicts,
        };
        let status = entry.status.clone();
        if status != ChangeStatus::InForce {
            self.verdicts.hold(id, self.clock.now());
        }
        let of = step.as_ref().map(|step| step.id);
        let is_own = entry.author == Author::Scheduler;
        match step {
            None if is_own => {
                self.history.record_own_change(entry, &before, &plan);
            }
            None => self.history.record_change(entry, &before, &plan),
            Some(step) => self.history.record_undo_redo(&step, entry, &before, &plan),
        }
        let replaced = self.open_changes.open(id, asked, &reconciled.builds);
        self.update_statuses(replaced);
        let (stages, differences) = (timer.stages(), reconciled.differences);
        let version = self.models.version;
        Applied { id, of, plan, force_us, differences, stages, version, status }
    }
}
