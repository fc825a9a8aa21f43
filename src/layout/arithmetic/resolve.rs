//! Places a layout on a machine: decides which model gets which cores.
//!
//! In this order, and in layout order within each group: lists as written; reserved rows; then
//! shares and counts, on separate cores as long as there are any. When cores run out, a count shares
//! the unreserved cores that have the fewest owners, and a share gets fewer cores, down to one. So
//! counts and shares work on any machine: a count above the machine's cores gets all of them.
//! Reserved rows leave one core to the others if possible.

use std::collections::BTreeSet;

use super::super::budget::{Budget, CoreRequest, Layout};
use super::super::desired::{DesiredState, Row};
use super::super::refusal::Refusal;
use super::draft::Draft;
use super::ledger::requested_cores;
use super::{bounds, identity, phrases};
use crate::machine::{CpuSet, Description};

/// Returns a row that has no cores yet.
pub(super) fn unplaced(budget: Budget) -> Row {
    Row { budget, cores: CpuSet::EMPTY, threads: 1, concurrency: 0, generation: 0, loads: 0, id: 0 }
}

/// Places a layout on a machine.
///
/// # Errors
/// [`Refusal`] when a value is out of range, two rows have the same name, a list names CPUs that
/// this process cannot use, reserved cores overlap, or reserves leave a row without a core.
pub(super) fn resolve(layout: &Layout, machine: &Description) -> Result<DesiredState, Refusal> {
    let mut names = BTreeSet::new();
    for budget in &layout.models {
        bounds::budget(budget)?;
        if !names.insert(&budget.name) {
            return Err(Refusal::row(&budget.name, "two rows have this name: rename one"));
        }
    }
    let rows = layout.models.iter().cloned().map(unplaced).collect();
    let description = layout.description.clone();
    let desired = identity::assign(DesiredState { description, rows, next_id: 0 });
    let mut draft = Draft::new(desired, machine);
    place_lists(&mut draft)?;
    place_reserved(&mut draft, &layout.models)?;
    place_rest(&mut draft, &layout.models)?;
    draft.derive_instances();
    Ok(draft.desired)
}

fn is_list(budget: &Budget) -> bool {
    matches!(budget.cores, CoreRequest::List(_))
}

fn place_lists(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    for row in &draft.desired.rows {
        if let CoreRequest::List(list) = &row.budget.cores {
            draft.require_usable(&row.budget.name, list)?;
        }
    }
    for row in &mut draft.desired.rows {
        if let CoreRequest::List(list) = &row.budget.cores {
            row.cores = *list;
        }
    }
    draft.require_reserves(&DesiredState::default())
}

fn place_reserved(draft: &mut Draft<'_>, models: &[Budget]) -> Result<(), Refusal> {
    let usable = draft.usable.len();
    let asks = |budget: &&Budget| !is_list(budget) && requested_cores(&budget.cores, usable) > 0;
    let reserving: Vec<&Budget> =
        models.iter().filter(asks).filter(|budget| budget.reserve).collect();
    let others_ask = models.iter().filter(asks).any(|budget| !budget.reserve);
    let others_have = draft
        .desired
        .rows
        .iter()
        .any(|row| is_list(&row.budget) && !row.budget.reserve && !row.cores.is_empty());
    let for_others = usize::from(others_ask && !others_have);
    for (done, budget) in reserving.iter().enumerate() {
        let still_to_place = reserving.len() - done - 1;
        let most = draft.free().len().saturating_sub(for_others + still_to_place).max(1);
        draft.fill_free(&budget.name, requested_cores(&budget.cores, usable).min(most))?;
        require_core(draft, &budget.name)?;
    }
    Ok(())
}

fn place_rest(draft: &mut Draft<'_>, models: &[Budget]) -> Result<(), Refusal> {
    let usable = draft.usable.len();
    let rest: Vec<&Budget> =
        models.iter().filter(|budget| !budget.reserve && !is_list(budget)).collect();
    let targets = apportion(&rest, usable, draft.free().len());
    for (budget, target) in rest.into_iter().zip(targets) {
        place(draft, budget, target)?;
    }
    Ok(())
}

/// Rounds shares and counts to whole cores together: while the sum exceeds `free`, the share that
/// was rounded up most (of equal ones the last) loses a core, until each share is down to one.
fn apportion(budgets: &[&Budget], usable: usize, free: usize) -> Vec<usize> {
    let mut targets: Vec<usize> =
        budgets.iter().map(|budget| requested_cores(&budget.cores, usable)).collect();
    while targets.iter().sum::<usize>() > free {
        let most_generous = budgets
            .iter()
            .zip(&mut targets)
            .filter(|(_, target)| **target > 1)
            .filter_map(|(budget, target)| match budget.cores {
                CoreRequest::Share(percent) => {
                    Some((*target as f64 - usable as f64 * percent / 100.0, target))
                }
                CoreRequest::List(_) | CoreRequest::Count(_) => None,
            })
            .max_by(|(a, _), (b, _)| a.total_cmp(b));
        match most_generous {
            Some((_, target)) => *target -= 1,
            None => break,
        }
    }
    targets
}

/// Places a row that has no list, on free cores first. A count then shares cores until it has all
/// that it asks for, a share only until it has one; a reserved row never shares.
///
/// # Errors
/// A refusal when it asks for cores and can have none.
pub(super) fn place(draft: &mut Draft<'_>, budget: &Budget, target: usize) -> Result<(), Refusal> {
    draft.fill_free(&budget.name, target)?;
    if !budget.reserve {
        let least = match budget.cores {
            CoreRequest::Share(_) => target.min(1),
            CoreRequest::List(_) | CoreRequest::Count(_) => target,
        };
        draft.fill_shared(&budget.name, least)?;
    }
    if target > 0 { require_core(draft, &budget.name) } else { Ok(()) }
}

fn require_core(draft: &Draft<'_>, name: &str) -> Result<(), Refusal> {
    if !draft.row(name)?.cores.is_empty() {
        return Ok(());
    }
    if draft.usable.is_empty() {
        return Err(Refusal::row(name, "this process may not use any core"));
    }
    let usable = phrases::cores(&draft.usable);
    let holders: Vec<&str> = draft
        .desired
        .rows
        .iter()
        .filter(|row| row.budget.reserve && !row.cores.is_empty())
        .map(|row| row.budget.name.as_str())
        .collect();
    let reason = if draft.row(name)?.budget.reserve {
        format!(
            "no core is free to reserve; this process has {usable}. Ask for fewer cores, or turn \
             reserve off"
        )
    } else {
        let holders = phrases::listed(&holders);
        format!(
            "no core is left for it: {holders} reserved all; this process has {usable}. Turn a \
             reserve off, or ask for fewer cores there"
        )
    };
    Err(Refusal::row(name, reason))
}
