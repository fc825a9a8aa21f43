//! Enforces the desired state on the workloads: bounds that shrink, then masks, then nice values, then
//! bounds that grow, then builds in the background. Each mask and nice value is read back.

use std::collections::BTreeMap;

use super::stage_timer::StageTimer;
use crate::layout::{DesiredState, Row};
use crate::machine::{CpuSet, Description};
use crate::scheduler::loading::instance_setup;
use crate::scheduler::slot::{LoadPhase, Slot, Slots};

/// Rebuilds of a row's instances for one change, to raise their threads' priority. A second one may
/// be needed, because a build was already pending when the change came.
pub(super) const MOST_RENEWALS: u32 = 2;

/// Returns the mask of a row's threads: its cores. Without any, its instances sleep on the cores that
/// nobody has reserved.
pub(super) fn mask(row: &Row, all: &DesiredState, machine: &Description) -> CpuSet {
    if row.cores.is_empty() { unreserved(row, all, machine) } else { row.cores }
}

/// Returns the mask of a row's threads now: that of a loan, or [`mask`].
pub(super) fn effective_mask(
    row: &Row,
    all: &DesiredState,
    slot: &Slot,
    machine: &Description,
) -> CpuSet {
    slot.effective_cores.unwrap_or_else(|| mask(row, all, machine))
}

/// Returns the cores that no other row has reserved, or all allowed ones if that leaves none.
fn unreserved(row: &Row, all: &DesiredState, machine: &Description) -> CpuSet {
    let rest = without_reserved(row, &row.cores, &reserved(all), machine);
    if rest.is_empty() { machine.limits.allowed } else { rest }
}

/// Returns the cores on which a row's model is loaded and its instances are built: those that no other
/// row has reserved, and its own except those that it lends. `effective` is as in [`Slot`].
pub(super) fn builder_cores(
    row: &Row,
    effective: Option<CpuSet>,
    all: &DesiredState,
    machine: &Description,
) -> CpuSet {
    builder_cores_beside(row, effective, &reserved(all), machine)
}

/// Returns the cores for loading and building, given the cores that rows have reserved. If other rows
/// have reserved all, these are the row's own, and all allowed ones if it has none: a model whose load
/// has to wait for a core that is never free would never start.
fn builder_cores_beside(
    row: &Row,
    effective: Option<CpuSet>,
    reserved: &CpuSet,
    machine: &Description,
) -> CpuSet {
    let allowed = machine.limits.allowed;
    let own = effective.map_or(row.cores, |cores| cores.intersection(&row.cores));
    let choices = [without_reserved(row, &own, reserved, machine), own.intersection(&allowed)];
    choices.into_iter().find(|cores| !cores.is_empty()).unwrap_or(allowed)
}

/// Returns the cores that no row has reserved, or all allowed ones if that leaves none.
pub(super) fn unreserved_cores(all: &DesiredState, machine: &Description) -> CpuSet {
    let rest = machine.limits.allowed.difference(&reserved(all));
    if rest.is_empty() { machine.limits.allowed } else { rest }
}

/// Returns all cores that rows have reserved.
pub(super) fn reserved(all: &DesiredState) -> CpuSet {
    let reserving = all.rows.iter().filter(|row| row.budget.reserve);
    reserving.fold(CpuSet::EMPTY, |sum, row| sum.union(&row.cores))
}

/// Returns the allowed cores that no row has reserved, and those of `own` if this row has reserved them.
fn without_reserved(row: &Row, own: &CpuSet, reserved: &CpuSet, machine: &Description) -> CpuSet {
    let own = if row.budget.reserve { *own } else { CpuSet::EMPTY };
    machine.limits.allowed.difference(&reserved.difference(&own))
}

/// The transition from one desired state to the next.
pub(super) struct Transition<'a> {
    pub(super) before: &'a DesiredState,
    pub(super) after: &'a DesiredState,
    pub(super) slots: &'a Slots,
    pub(super) machine: &'a Description,
}

/// Enforces `after` on the workloads.
/// Returns the differences that the kernel shows, for each model whose threads were placed or got a
/// nice value; an empty list means that all is as asked.
pub(super) fn enforce(
    transition: &Transition<'_>,
    timer: &mut StageTimer,
) -> BTreeMap<String, Vec<String>> {
    let Transition { before, after, slots, machine } = *transition;
    let mut differences: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let rows = || {
        after.rows.iter().filter_map(|row| {
            let slot = slots.get(&row.budget.name)?;
            Some((row, before.counterpart(row, after), slot))
        })
    };
    for (row, old, slot) in rows() {
        if let Some(process) = &slot.process {
            process.set_budget(&row.cores);
        }
        if let Some(pool) = &slot.pool
            && old.is_none_or(|old| row.concurrency < old.concurrency)
        {
            pool.set_bound(row.concurrency);
        }
    }
    timer.end(|stages| &mut stages.bounds_us);
    // Before the masks: a core that becomes reserved is free of other models' loads and builds.
    let reserved = reserved(after);
    for (row, _, slot) in rows() {
        let cores = builder_cores_beside(row, slot.effective_cores, &reserved, machine);
        let differs = |slot: &&Slot| slot.workload.builder_cores().is_some_and(|now| now != cores);
        for slot in with_successor(slot).filter(differs) {
            let found = slot.workload.pin_builders(cores);
            if !found.is_empty() {
                differences.insert(row.budget.name.clone(), found);
            }
        }
    }
    // Donors first, so that a core is free as early as possible for its receiver.
    let mut moved: Vec<_> = rows()
        .flat_map(|(row, old, slot)| {
            let mask = effective_mask(row, after, slot, machine);
            with_successor(slot).map(move |slot| (row, old, slot, mask))
        })
        .filter(|(.., slot, mask)| slot.workload.mask() != *mask)
        .collect();
    moved.sort_by_key(|(row, old, ..)| {
        old.is_none_or(|old| !row.cores.difference(&old.cores).is_empty())
    });
    for (row, _, slot, mask) in moved {
        let found = slot.workload.pin(mask);
        differences.entry(row.budget.name.clone()).or_default().extend(found);
    }
    timer.end(|stages| &mut stages.masks_us);
    for (row, _, slot) in rows() {
        if let Some(process) = &slot.process {
            process.set_weight_base(weight_base(row, after, slots));
        }
        let nice = after.nice(row);
        if slot.workload.nice() != nice {
            let found = slot.workload.set_nice(nice).err().unwrap_or_default();
            differences.entry(row.budget.name.clone()).or_default().extend(found);
        }
    }
    timer.end(|stages| &mut stages.nice_us);
    for (row, old, slot) in rows() {
        if old.is_none_or(|old| old.budget.memory != row.budget.memory) {
            slot.workload.set_memory(row.budget.memory.map(|bytes| bytes.0));
            slot.workload.shrink();
        }
        if let Some(process) = &slot.process
            && old.is_none_or(|old| old.budget != row.budget)
        {
            process.set_percentile(row.budget.slo.map(|slo| slo.percentile));
            if let Some(source) = row.budget.source.process() {
                process.set_source(source);
            }
        }
        let Some(pool) = &slot.pool else { continue };
        if old.is_none_or(|old| old.budget.queue != row.budget.queue) {
            pool.set_queue(row.budget.queue);
        }
        // Only if it rises: the call waits for the gate's lock, and its holder may have no core.
        if old.is_none_or(|old| old.concurrency < row.concurrency) {
            pool.set_bound(row.concurrency);
        }
    }
    timer.end(|stages| &mut stages.limits_us);
    differences
}

/// Returns the weight of divvy's own scheduling group for a row, as in [`DesiredState::weight_base`]: its
/// rows are the models, and the processes that are in it now.
fn weight_base(row: &Row, all: &DesiredState, slots: &Slots) -> Option<i32> {
    let process = |row: &Row| slots.get(&row.budget.name)?.process.clone();
    all.weight_base(row, |row| process(row).is_none_or(|process| process.is_in_own_group()))
}

/// Returns a slot and its successor.
pub(super) fn with_successor(slot: &Slot) -> impl Iterator<Item = &Slot> {
    std::iter::once(slot).chain(slot.successor.as_deref())
}

/// Places all threads of a row again. Returns the differences that the kernel shows.
pub(super) fn place(
    row: &Row,
    all: &DesiredState,
    slot: &Slot,
    machine: &Description,
) -> Vec<String> {
    let building = builder_cores(row, slot.effective_cores, all, machine);
    let mut found = slot.workload.pin_builders(building);
    found.extend(slot.workload.pin(effective_mask(row, all, slot, machine)));
    found.extend(slot.workload.set_nice(all.nice(row)).err().into_iter().flatten());
    found
}

/// Has the instances rebuilt if the kernel does not let their threads rise: new threads start at the
/// program's own nice value. Not repeated for a row, since a new thread whose nice value is too high
/// will not be lower after another rebuild.
fn renew(row: &Row, all: &DesiredState, slot: &mut Slot) {
    let Some(pool) = &slot.pool else { return };
    if slot.renewals < MOST_RENEWALS && slot.workload.set_nice(all.nice(row)).is_err() {
        slot.renewals += 1;
        pool.renew();
        if let Some(difference) = &mut slot.difference {
            difference.push_str("; new instances on new threads are being built for it");
        }
    }
}

/// Notes the differences that the kernel shows for a row, and has its instances rebuilt if that
/// helps.
pub(super) fn note_differences(row: &Row, all: &DesiredState, slot: &mut Slot, found: &[String]) {
    slot.difference = (!found.is_empty()).then(|| found.join("; "));
    if slot.difference.is_some() {
        renew(row, all, slot);
    } else {
        slot.renewals = 0;
        if let Some(pool) = &slot.pool {
            pool.keep();
        }
    }
}

/// Starts building the instances that a row needs, and releases surplus sleeping ones.
///
/// # Errors
/// A message if this process cannot use the row's GPU.
pub(super) fn build(
    row: &Row,
    after: &DesiredState,
    slots: &Slots,
    machine: &Description,
) -> Result<(), String> {
    let Some(slot) = slots.get(&row.budget.name) else { return Ok(()) };
    let Some(pool) = &slot.pool else { return Ok(()) };
    if !matches!(slot.phase, LoadPhase::Loaded) || row.concurrency == 0 {
        return Ok(());
    }
    let setup = instance_setup(row, after, &machine.gpus)?;
    if slot.failed_build.as_ref().is_some_and(|failed| failed.setup == setup) {
        return Ok(());
    }
    if !pool.ensure(row.concurrency, setup) {
        pool.release_parked(row.concurrency);
    }
    Ok(())
}
