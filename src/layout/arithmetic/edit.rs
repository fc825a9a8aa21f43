//! Applies the edits of a change, in order, to a copy of the state.
//!
//! Placement is incremental: rows keep the cores that they have, and as few cores as possible move.
//! The generation of a row rises only if something in it differs afterwards. A change that changes
//! nothing is refused, so that the journal has no empty entries.

use std::cmp::Ordering;

use super::super::budget::{Budget, CoreRequest, Layout};
use super::super::change::{Change, Edit};
use super::super::desired::DesiredState;
use super::super::gpu_check;
use super::super::refusal::Refusal;
use super::draft::Draft;
use super::ledger::requested_cores;
use super::resolve::{place, resolve, unplaced};
use super::transfer::{CoreTransfer, transfer_concurrency};
use super::{bounds, identity, phrases};
use crate::machine::{CpuSet, Description};

/// Returns the state after a change.
///
/// # Errors
/// [`Refusal`] when an edit is not possible, two rows would have a reserved core, or nothing would
/// change.
pub(super) fn change(
    before: &DesiredState,
    change: &Change,
    machine: &Description,
) -> Result<DesiredState, Refusal> {
    if change.edits.is_empty() {
        return Err(Refusal::whole("the change is empty: it has no edit"));
    }
    let mut draft = Draft::new(before.clone(), machine);
    for edit in &change.edits {
        apply(&mut draft, edit)?;
        draft.derive_instances();
    }
    for row in draft.desired.rows.iter_mut().filter(|row| row.budget.is_process()) {
        // both mean that it has no budget of cores; only one form can be saved
        if row.budget.cores == CoreRequest::Count(0) {
            row.budget.cores = CoreRequest::List(CpuSet::EMPTY);
        }
    }
    draft.require_reserves(before)?;
    let after = identity::inherit(draft.desired, before);
    if after.rows == before.rows && after.description == before.description {
        return Err(Refusal::nothing());
    }
    Ok(after)
}

/// # Errors
/// The refusal of the edit. The draft must not be used afterwards.
fn apply(draft: &mut Draft<'_>, edit: &Edit) -> Result<(), Refusal> {
    for model in edit.models_only() {
        if draft.row(model)?.budget.is_process() {
            return Err(Refusal::row(model, bounds::MODEL_ONLY));
        }
    }
    match edit {
        Edit::TransferCores { cores, from, to, share } => {
            CoreTransfer { cores: *cores, from, to, share: *share }.apply(draft)?;
        }
        Edit::TransferConcurrency { count, from, to } => {
            transfer_concurrency(draft, *count, from, to)?;
        }
        Edit::SetCores { model, cores } => set_cores(draft, model, *cores)?,
        Edit::SetReserve { model, reserve } => draft.row_mut(model)?.budget.reserve = *reserve,
        Edit::SetConcurrency { model, concurrency } => {
            bounds::number(model, "concurrency", *concurrency)?;
            draft.row_mut(model)?.budget.concurrency = *concurrency;
        }
        Edit::SetThreads { model, threads } => {
            bounds::number(model, "threads", *threads)?;
            draft.row_mut(model)?.budget.threads = *threads;
        }
        Edit::SetSpinning { model, spinning } => {
            draft.row_mut(model)?.budget.spinning = *spinning;
        }
        Edit::SetWeight { model, weight } => {
            bounds::weight(model, *weight)?;
            draft.row_mut(model)?.budget.weight = *weight;
        }
        Edit::SetObjective { model, objective } => {
            draft.row_mut(model)?.budget.objective = *objective;
        }
        Edit::SetQueue { model, queue } => {
            bounds::queue(model, *queue)?;
            draft.row_mut(model)?.budget.queue = *queue;
        }
        Edit::SetSlo { model, slo } => {
            bounds::slo(model, *slo)?;
            draft.row_mut(model)?.budget.slo = *slo;
        }
        Edit::SetMemory { model, memory } => {
            bounds::memory(model, *memory)?;
            draft.row_mut(model)?.budget.memory = *memory;
        }
        Edit::SetGpu { model, gpu, gpu_memory } => {
            let budget = &mut draft.row_mut(model)?.budget;
            budget.gpu.clone_from(gpu);
            budget.gpu_memory = *gpu_memory;
            require_gpu(draft, model)?;
        }
        Edit::SetLoad { model, load } => {
            bounds::load(model, load.as_ref())?;
            draft.row_mut(model)?.budget.load.clone_from(load);
        }
        Edit::Pause { model, paused } => draft.row_mut(model)?.budget.paused = *paused,
        Edit::SetRow { budget, base } => set_row(draft, budget, base.as_deref())?,
        Edit::Reload { model, number } => {
            let row = draft.row_mut(model)?;
            row.loads = number.unwrap_or(row.loads + 1);
        }
        Edit::Rename { model, to } => rename(draft, model, to)?,
        Edit::Add { budget } => add(draft, budget)?,
        Edit::Remove { model } => {
            draft.row(model)?;
            draft.desired.rows.retain(|row| row.budget.name != *model);
        }
        Edit::Load { layout } => load(draft, layout)?,
    }
    Ok(())
}

/// Replaces the layout. Models of the same name keep their identity.
fn load(draft: &mut Draft<'_>, layout: &Layout) -> Result<(), Refusal> {
    let mut loaded = resolve(layout, draft.machine)?;
    for row in &mut loaded.rows {
        let same = draft.desired.row(&row.budget.name);
        (row.id, row.loads) = same.map_or((0, 0), |same| (same.id, same.loads));
    }
    loaded.next_id = draft.desired.next_id;
    draft.desired = identity::assign(loaded);
    Ok(())
}

fn rename(draft: &mut Draft<'_>, model: &str, to: &str) -> Result<(), Refusal> {
    draft.row(model)?;
    bounds::name(model, to)?;
    if model != to && draft.desired.row(to).is_some() {
        return Err(Refusal::row(
            model,
            format!("cannot be renamed to {to}: another row has this name; choose a free one"),
        ));
    }
    to.clone_into(&mut draft.row_mut(model)?.budget.name);
    Ok(())
}

fn set_row(draft: &mut Draft<'_>, budget: &Budget, base: Option<&Budget>) -> Result<(), Refusal> {
    bounds::budget(budget)?;
    let name = budget.name.as_str();
    let row = &draft.row(name)?.budget;
    if base.is_some_and(|base| base != row) {
        return Err(Refusal::row(
            name,
            "this row was changed while it was edited: check its present values and try again",
        ));
    }
    let cores = row.cores;
    // placement depends on whether the row reserves its cores, so the other values are set first
    draft.row_mut(name)?.budget = Budget { cores, ..budget.clone() };
    require_gpu(draft, name)?;
    if cores == budget.cores { Ok(()) } else { set_cores(draft, name, budget.cores) }
}

/// Checks that the machine has the row's GPU, and enough memory on it.
fn require_gpu(draft: &Draft<'_>, model: &str) -> Result<(), Refusal> {
    let budget = &draft.row(model)?.budget;
    gpu_check::check_on_machine(budget, &draft.machine.gpus)
        .map_err(|fault| Refusal::row(model, fault.reason))
}

fn set_cores(draft: &mut Draft<'_>, model: &str, cores: CoreRequest) -> Result<(), Refusal> {
    bounds::cores(model, &cores)?;
    let row = draft.row(model)?;
    let usable = draft.usable;
    let present = row.cores.len();
    let target = requested_cores(&cores, usable.len());
    match cores {
        CoreRequest::List(list) => {
            draft.require_usable(model, &list)?;
            draft.row_mut(model)?.cores = list;
        }
        CoreRequest::Count(_) | CoreRequest::Share(_) => {
            if target > usable.len() {
                return Err(Refusal::row(
                    model,
                    format!(
                        "asks for {}, but this process has {} ({usable})",
                        phrases::counted(target, "core"),
                        usable.len(),
                    ),
                ));
            }
            let budget = Budget { cores, ..row.budget.clone() };
            match present.cmp(&target) {
                Ordering::Greater => draft.shrink(model, target)?,
                Ordering::Equal => {}
                Ordering::Less => place(draft, &budget, target)?,
            }
            require_target(draft, model, cores)?;
        }
    }
    draft.row_mut(model)?.budget.cores = cores;
    Ok(())
}

/// Refuses a count that cannot be met, and a share that gets no core.
fn require_target(draft: &Draft<'_>, model: &str, cores: CoreRequest) -> Result<(), Refusal> {
    let row = draft.row(model)?;
    let target = requested_cores(&cores, draft.usable.len());
    let is_partly_met = matches!(cores, CoreRequest::Share(_)) && !row.cores.is_empty();
    if is_partly_met || row.cores.len() >= target {
        return Ok(());
    }
    let why = if row.budget.reserve {
        "no other core is free to reserve"
    } else {
        "the other cores are reserved"
    };
    Err(Refusal::row(
        model,
        format!(
            "asks for {} and can have {}: {why}",
            phrases::counted(target, "core"),
            row.cores.len(),
        ),
    ))
}

fn add(draft: &mut Draft<'_>, budget: &Budget) -> Result<(), Refusal> {
    bounds::budget(budget)?;
    let name = budget.name.as_str();
    if draft.desired.row(name).is_some() {
        return Err(Refusal::row(name, "another row has this name: choose a free one"));
    }
    draft.desired.rows.push(unplaced(budget.clone()));
    draft.desired = identity::assign(std::mem::take(&mut draft.desired));
    require_gpu(draft, name)?;
    if let CoreRequest::List(list) = budget.cores {
        draft.require_usable(name, &list)?;
        draft.row_mut(name)?.cores = list;
        return Ok(());
    }
    place(draft, budget, requested_cores(&budget.cores, draft.usable.len()))
}
