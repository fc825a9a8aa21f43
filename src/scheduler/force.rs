//! Brings the desired state into force over the pools: bounds that shrink, then masks, then bounds
//! that grow, then builds in the background. Verified as it goes.

use std::collections::BTreeMap;

use super::slot::{LoadPhase, Slot, Slots, setup};
use crate::layout::{DesiredState, Row};
use crate::machine::{CpuSet, Description};

/// Times that a row's instances are built anew for one change: a batch that was on its way already
/// may have to be replaced once more.
pub(super) const MOST_RENEWALS: u32 = 2;

/// The mask of a row's threads: its cores, or, without any, whatever nobody has reserved (its
/// instances sleep there).
pub(super) fn mask(row: &Row, all: &DesiredState, machine: &Description) -> CpuSet {
    if row.cores.is_empty() { resting(row, all, machine) } else { row.cores }
}

/// CPUs that no other row has reserved; all allowed ones where nothing is left.
pub(super) fn resting(row: &Row, all: &DesiredState, machine: &Description) -> CpuSet {
    let mut rest = machine.limits.allowed;
    for other in all.rows.iter().filter(|other| other.budget.name != row.budget.name) {
        if other.budget.reserve {
            rest = rest.difference(&other.cores);
        }
    }
    if rest.is_empty() { machine.limits.allowed } else { rest }
}

/// Makes the pools do what `after` says. Both sides of the same name are the same model. Returns,
/// for each model whose threads were placed or weighed anew, sentences that say where the kernel
/// shows something else; none where it is as asked.
pub(super) fn enforce(
    before: &DesiredState,
    after: &DesiredState,
    slots: &Slots,
    machine: &Description,
) -> BTreeMap<String, Vec<String>> {
    let mut looked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let pairs = || {
        after.rows.iter().filter_map(|row| {
            let slot = slots.get(&row.budget.name)?;
            Some((row, before.row(&row.budget.name), slot))
        })
    };
    for (row, old, slot) in pairs() {
        if old.is_none_or(|old| row.concurrency < old.concurrency) {
            slot.pool.set_bound(row.concurrency);
        }
    }
    // Donors first, so that a receiver finds its core left as early as can be.
    let mut moved: Vec<_> = pairs()
        .map(|(row, old, slot)| (row, old, slot, mask(row, after, machine)))
        .filter(|(.., slot, mask)| slot.pool.mask() != *mask)
        .collect();
    moved.sort_by_key(|(row, old, ..)| {
        old.is_none_or(|old| !row.cores.difference(&old.cores).is_empty())
    });
    for (row, _, slot, mask) in moved {
        looked.insert(row.budget.name.clone(), slot.pool.pin(mask));
    }
    for (row, _, slot) in pairs() {
        let nice = after.nice(row);
        if slot.pool.nice() != nice {
            let found = slot.pool.weigh(nice).err().unwrap_or_default();
            looked.entry(row.budget.name.clone()).or_default().extend(found);
        }
    }
    for (row, old, slot) in pairs() {
        if old.is_none_or(|old| old.budget.queue != row.budget.queue) {
            slot.pool.set_queue(row.budget.queue);
        }
        if old.is_none_or(|old| old.budget.memory != row.budget.memory) {
            slot.pool.set_memory(row.budget.memory.map(|bytes| bytes.0));
            slot.pool.shrink();
        }
        slot.pool.set_bound(row.concurrency);
    }
    looked
}

/// Places all threads of a row again, and says what the kernel shows elsewhere; empty when it is as
/// asked.
pub(super) fn place(row: &Row, all: &DesiredState, slot: &Slot, machine: &Description) -> Vec<String> {
    let mut found = slot.pool.pin(mask(row, all, machine));
    found.extend(slot.pool.weigh(all.nice(row)).err().into_iter().flatten());
    found
}

/// Threads that may not rise are replaced: new ones stand where the program does. A thread that
/// stands too low even when it is new will not rise by being built again, so that is not repeated.
pub(super) fn renew(row: &Row, all: &DesiredState, slot: &mut Slot) {
    if slot.renewals < MOST_RENEWALS && slot.pool.weigh(all.nice(row)).is_err() {
        slot.renewals += 1;
        slot.pool.renew();
        if let Some(difference) = &mut slot.difference {
            difference.push_str("; new instances on new threads are being built for it");
        }
    }
}

/// Notes where a row's threads are not as asked, and has them replaced where that helps.
pub(super) fn settle(row: &Row, all: &DesiredState, slot: &mut Slot, found: &[String]) {
    slot.difference = (!found.is_empty()).then(|| found.join("; "));
    if slot.difference.is_some() {
        renew(row, all, slot);
    } else {
        slot.renewals = 0;
        slot.pool.keep();
    }
}

/// Orders the instances that a row needs and lets surplus sleepers go. Returns whether something is
/// being built.
///
/// # Errors
/// A sentence where the row's GPU cannot be used from this process.
pub(super) fn build(
    row: &Row,
    after: &DesiredState,
    slots: &Slots,
    machine: &Description,
) -> Result<bool, String> {
    let Some(slot) = slots.get(&row.budget.name) else { return Ok(false) };
    if !matches!(slot.phase, LoadPhase::Loaded) || row.concurrency == 0 {
        return Ok(false);
    }
    let setup = setup(row, after, &machine.gpus)?;
    if slot.failed_setup.as_ref().is_some_and(|(failed, _)| *failed == setup) {
        return Ok(false);
    }
    let building = slot.pool.ensure(row.concurrency, setup, resting(row, after, machine));
    if !building {
        slot.pool.release_parked(row.concurrency);
    }
    Ok(building)
}
