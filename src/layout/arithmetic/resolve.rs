//! A layout meets a machine: who gets which cores.
//!
//! In this order, each in layout order: lists as they stand; reserved rows; then shares and counts,
//! disjointly while cores last. When they run out, a count shares the unreserved cores with the
//! fewest owners, and a share takes less, down to one core. Numbers and shares travel between
//! machines: a count above what there is gets what there is. Reserved rows leave one core to the
//! others where they can.

use std::collections::BTreeSet;

use super::super::budget::{Budget, CoreRequest, Layout};
use super::super::change::Refusal;
use super::super::desired::{DesiredState, Row};
use super::draft::{Draft, wanted};
use super::{bounds, words};
use crate::machine::{CpuSet, Description};

/// A row that has no cores yet.
pub(super) fn unplaced(budget: Budget) -> Row {
    Row { budget, cores: CpuSet::EMPTY, threads: 1, concurrency: 0, generation: 0, id: 0 }
}

impl DesiredState {
    /// Places a layout on a machine. Generations start at 0.
    ///
    /// # Errors
    /// [`Refusal`] when a value is out of range, two rows have one name, a list names CPUs that
    /// this process cannot use, reserved cores overlap, or reserves leave a row without a core.
    pub fn resolve(layout: &Layout, machine: &Description) -> Result<Self, Refusal> {
        let mut names = BTreeSet::new();
        for budget in &layout.models {
            bounds::budget(budget)?;
            if !names.insert(&budget.name) {
                return Err(Refusal::row(&budget.name, "two models have this name; rename one"));
            }
        }
        let rows = layout.models.iter().cloned().map(unplaced).collect();
        let description = layout.description.clone();
        let desired = Self { description, rows, ..Self::default() }.identified();
        let mut draft = Draft::new(desired, machine);
        place_lists(&mut draft)?;
        place_reserved(&mut draft, &layout.models)?;
        place_rest(&mut draft, &layout.models)?;
        draft.settle();
        Ok(draft.desired)
    }
}

fn is_list(budget: &Budget) -> bool {
    matches!(budget.cores, CoreRequest::List(_))
}

fn place_lists(draft: &mut Draft) -> Result<(), Refusal> {
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

fn place_reserved(draft: &mut Draft, models: &[Budget]) -> Result<(), Refusal> {
    let usable = draft.usable.len();
    let asks = |budget: &&Budget| !is_list(budget) && wanted(&budget.cores, usable) > 0;
    let reserving: Vec<&Budget> =
        models.iter().filter(asks).filter(|budget| budget.reserve).collect();
    let others_ask = models.iter().filter(asks).any(|budget| !budget.reserve);
    let others_have = draft
        .desired
        .rows
        .iter()
        .any(|row| is_list(&row.budget) && !row.budget.reserve && !row.cores.is_empty());
    let left = usize::from(others_ask && !others_have);
    for (done, budget) in reserving.iter().enumerate() {
        let waiting = reserving.len() - done - 1;
        let most = draft.free().len().saturating_sub(left + waiting).max(1);
        draft.fill_free(&budget.name, wanted(&budget.cores, usable).min(most))?;
        require_some(draft, &budget.name)?;
    }
    Ok(())
}

fn place_rest(draft: &mut Draft, models: &[Budget]) -> Result<(), Refusal> {
    let usable = draft.usable.len();
    let rest: Vec<&Budget> =
        models.iter().filter(|budget| !budget.reserve && !is_list(budget)).collect();
    let targets = apportion(&rest, usable, draft.free().len());
    for (budget, target) in rest.into_iter().zip(targets) {
        place(draft, budget, target)?;
    }
    Ok(())
}

/// Whole cores for shares and counts together: shares give way, the most generously rounded first
/// and the later first, until the sum fits `free` or each share is down to one core.
fn apportion(budgets: &[&Budget], usable: usize, free: usize) -> Vec<usize> {
    let mut targets: Vec<usize> =
        budgets.iter().map(|budget| wanted(&budget.cores, usable)).collect();
    while targets.iter().sum::<usize>() > free {
        let generous = budgets
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
        match generous {
            Some((_, target)) => *target -= 1,
            None => break,
        }
    }
    targets
}

/// Places a row that has no list: free cores first. A count then shares to be whole, a share only
/// to have one core at all; a reserved row never shares.
///
/// # Errors
/// A refusal when it asks for cores and there is none that it may have.
pub(super) fn place(draft: &mut Draft, budget: &Budget, target: usize) -> Result<(), Refusal> {
    draft.fill_free(&budget.name, target)?;
    if !budget.reserve {
        let least = match budget.cores {
            CoreRequest::Share(_) => target.min(1),
            CoreRequest::List(_) | CoreRequest::Count(_) => target,
        };
        draft.fill_shared(&budget.name, least)?;
    }
    if target > 0 { require_some(draft, &budget.name) } else { Ok(()) }
}

fn require_some(draft: &Draft, name: &str) -> Result<(), Refusal> {
    if !draft.row(name)?.cores.is_empty() {
        return Ok(());
    }
    if draft.usable.is_empty() {
        return Err(Refusal::row(name, "this process may use no core at all"));
    }
    let all = format!("there {} {}", words::are(draft.usable.len()), words::cores(&draft.usable));
    let keepers: Vec<&str> = draft
        .desired
        .rows
        .iter()
        .filter(|row| row.budget.reserve && !row.cores.is_empty())
        .map(|row| row.budget.name.as_str())
        .collect();
    let reason = if draft.row(name)?.budget.reserve {
        format!("no core is left that it could reserve; {all}. Ask for fewer, or share instead")
    } else {
        format!(
            "no core is left for it: {} reserved all that is free; {all}. Lift a reserve, or ask \
             for fewer cores there",
            words::listed(&keepers),
        )
    };
    Err(Refusal::row(name, reason))
}
