//! A change: its edits in order, over a copy, so that it is whole or refused.
//!
//! Placement is incremental: rows keep the cores they have, and only the minimum moves. A row is
//! touched when anything of it differs afterwards; only then does its generation rise. A change
//! that leaves everything as it is, is refused, so that the journal has no empty entries.

use std::cmp::Ordering;

use super::super::budget::{Budget, CoreRequest};
use super::super::change::{Change, Edit, Refusal};
use super::super::desired::{DesiredState, Row};
use super::super::gpus;
use super::draft::{Draft, wanted};
use super::resolve::{place, unplaced};
use super::{bounds, words};
use crate::machine::Description;

impl DesiredState {
    /// The state after a change.
    ///
    /// # Errors
    /// [`Refusal`] when any edit is not possible, two rows would hold a reserved core, or nothing
    /// would change. `self` is as it was either way.
    pub fn change(&self, change: &Change, machine: &Description) -> Result<Self, Refusal> {
        if change.edits.is_empty() {
            return Err(Refusal::whole("the change is empty: it has no edit"));
        }
        let mut draft = Draft::new(self.clone(), machine);
        for edit in &change.edits {
            draft.apply(edit)?;
            draft.settle();
        }
        draft.require_reserves(self)?;
        let after = draft.desired.touched_since(self);
        if after.rows == self.rows && after.description == self.description {
            return Err(Refusal::nothing());
        }
        Ok(after)
    }

    /// Sets generations: one more than before for rows that differ, as before for those that do
    /// not. Rows that are new keep their own.
    pub(super) fn touched_since(mut self, before: &Self) -> Self {
        self.next_id = self.next_id.max(before.next_id);
        let pairs: Vec<Option<Row>> =
            self.rows.iter().map(|row| before.counterpart(row, &self).cloned()).collect();
        for (row, was) in self.rows.iter_mut().zip(pairs) {
            if let Some(was) = was {
                (row.generation, row.id) = (was.generation, was.id);
                if *row != was {
                    row.generation += 1;
                }
            }
        }
        self.identified()
    }

    /// Gives an identity to each row that has none.
    pub(super) fn identified(mut self) -> Self {
        for row in self.rows.iter_mut().filter(|row| row.id == 0) {
            self.next_id = self.next_id.max(1);
            row.id = self.next_id;
            self.next_id += 1;
        }
        self
    }
}

impl Draft<'_> {
    /// # Errors
    /// The refusal of the edit; the draft is then of no use.
    fn apply(&mut self, edit: &Edit) -> Result<(), Refusal> {
        match edit {
            Edit::TransferCores { cores, from, to, share } => {
                self.transfer_cores(*cores, from, to, *share)?;
            }
            Edit::TransferConcurrency { count, from, to } => {
                self.transfer_concurrency(*count, from, to)?;
            }
            Edit::SetCores { model, cores } => self.set_cores(model, *cores)?,
            Edit::SetReserve { model, reserve } => self.row_mut(model)?.budget.reserve = *reserve,
            Edit::SetConcurrency { model, concurrency } => {
                bounds::number(model, "concurrency", *concurrency)?;
                self.row_mut(model)?.budget.concurrency = *concurrency;
            }
            Edit::SetThreads { model, threads } => {
                bounds::number(model, "threads", *threads)?;
                self.row_mut(model)?.budget.threads = *threads;
            }
            Edit::SetSpinning { model, spinning } => {
                self.row_mut(model)?.budget.spinning = *spinning;
            }
            Edit::SetWeight { model, weight } => {
                bounds::weight(model, *weight)?;
                self.row_mut(model)?.budget.weight = *weight;
            }
            Edit::SetObjective { model, objective } => {
                self.row_mut(model)?.budget.objective = *objective;
            }
            Edit::SetQueue { model, queue } => {
                bounds::queue(model, *queue)?;
                self.row_mut(model)?.budget.queue = *queue;
            }
            Edit::SetSlo { model, slo } => {
                bounds::slo(model, *slo)?;
                self.row_mut(model)?.budget.slo = *slo;
            }
            Edit::SetMemory { model, memory } => {
                bounds::memory(model, *memory)?;
                self.row_mut(model)?.budget.memory = *memory;
            }
            Edit::SetGpu { model, gpu, gpu_memory } => {
                let budget = &mut self.row_mut(model)?.budget;
                budget.gpu.clone_from(gpu);
                budget.gpu_memory = *gpu_memory;
                self.require_gpu(model)?;
            }
            Edit::SetLoad { model, load } => {
                bounds::load(model, load.as_ref())?;
                self.row_mut(model)?.budget.load.clone_from(load);
            }
            Edit::Pause { model, paused } => self.row_mut(model)?.budget.paused = *paused,
            Edit::SetRow { budget, base } => self.set_row(budget, base.as_deref())?,
            Edit::Add { budget } => self.add(budget)?,
            Edit::Remove { model } => {
                self.row(model)?;
                self.desired.rows.retain(|row| row.budget.name != *model);
            }
            Edit::Rename { model, to } => self.rename(model, to)?,
            Edit::Load { layout } => {
                let mut loaded = DesiredState::resolve(layout, self.machine)?;
                for row in &mut loaded.rows {
                    row.id = self.desired.row(&row.budget.name).map_or(0, |same| same.id);
                }
                loaded.next_id = self.desired.next_id;
                self.desired = loaded.identified();
            }
        }
        Ok(())
    }

    fn rename(&mut self, model: &str, to: &str) -> Result<(), Refusal> {
        bounds::name(model, to)?;
        self.row(model)?;
        if model != to && self.desired.row(to).is_some() {
            return Err(Refusal::row(
                model,
                format!(
                    "cannot be renamed to {to}: another model has this name; choose a free one"
                ),
            ));
        }
        to.clone_into(&mut self.row_mut(model)?.budget.name);
        Ok(())
    }

    fn set_row(&mut self, budget: &Budget, base: Option<&Budget>) -> Result<(), Refusal> {
        bounds::budget(budget)?;
        let name = budget.name.as_str();
        let row = &self.row(name)?.budget;
        if base.is_some_and(|base| base != row) {
            return Err(Refusal::row(
                name,
                "its row has changed since this was made of it: look at it again, then do this anew",
            ));
        }
        let cores = row.cores;
        // placement asks whether the cores are to be its own alone
        self.row_mut(name)?.budget = Budget { cores, ..budget.clone() };
        self.require_gpu(name)?;
        if cores == budget.cores { Ok(()) } else { self.set_cores(name, budget.cores) }
    }

    /// The GPU that a row was just given is there and has as much memory.
    fn require_gpu(&self, model: &str) -> Result<(), Refusal> {
        let budget = &self.row(model)?.budget;
        gpus::meets(budget, &self.machine.gpus).map_err(|fault| Refusal::row(model, fault.reason))
    }

    fn set_cores(&mut self, model: &str, cores: CoreRequest) -> Result<(), Refusal> {
        bounds::cores(model, &cores)?;
        let row = self.row(model)?;
        let have = row.cores.len();
        let target = wanted(&cores, self.usable.len());
        match cores {
            CoreRequest::List(list) => {
                self.require_usable(model, &list)?;
                self.row_mut(model)?.cores = list;
            }
            CoreRequest::Count(_) | CoreRequest::Share(_) => {
                if target > self.usable.len() {
                    return Err(Refusal::row(
                        model,
                        format!(
                            "asks for {}, and there {} {} ({})",
                            words::counted(target, "core"),
                            words::are(self.usable.len()),
                            self.usable.len(),
                            self.usable,
                        ),
                    ));
                }
                let budget = Budget { cores, ..row.budget.clone() };
                match have.cmp(&target) {
                    Ordering::Greater => self.shrink(model, target)?,
                    Ordering::Equal => {}
                    Ordering::Less => place(self, &budget, target)?,
                }
                self.require_asked(model, cores, target)?;
            }
        }
        self.row_mut(model)?.budget.cores = cores;
        Ok(())
    }

    /// A number that the operator just asked for is met, or refused.
    fn require_asked(&self, model: &str, cores: CoreRequest, target: usize) -> Result<(), Refusal> {
        let row = self.row(model)?;
        let soft = matches!(cores, CoreRequest::Share(_)) && !row.cores.is_empty();
        if soft || row.cores.len() >= target {
            return Ok(());
        }
        let why = if row.budget.reserve { "is free to reserve" } else { "is left unreserved" };
        Err(Refusal::row(
            model,
            format!(
                "asks for {} and can have {}: no further core {why}",
                words::counted(target, "core"),
                row.cores.len(),
            ),
        ))
    }

    fn add(&mut self, budget: &Budget) -> Result<(), Refusal> {
        bounds::budget(budget)?;
        let name = budget.name.as_str();
        if self.desired.row(name).is_some() {
            return Err(Refusal::row(name, "there is a model of this name: choose another"));
        }
        self.desired.rows.push(unplaced(budget.clone()));
        self.desired = std::mem::take(&mut self.desired).identified();
        self.require_gpu(name)?;
        if let CoreRequest::List(list) = budget.cores {
            self.require_usable(name, &list)?;
            self.row_mut(name)?.cores = list;
            return Ok(());
        }
        place(self, budget, wanted(&budget.cores, self.usable.len()))
    }
}
