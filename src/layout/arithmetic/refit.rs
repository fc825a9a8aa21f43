//! Adapts the state to a machine that has changed: CPUs went offline or came back, or the cpuset
//! changed.
//!
//! A list loses CPUs that are absent and gets them back when they return. A count or a share gets
//! free cores for those it lost, shares cores if none is free, and moves back to exclusive cores
//! when there are some. A share follows the number of cores of the machine.

use super::super::budget::CoreRequest;
use super::super::desired::{DesiredState, Row};
use super::super::placement;
use super::draft::Draft;
use super::ledger::requested_cores;
use super::{identity, phrases, resolve};
use crate::machine::{CpuSet, Description};

/// Returns the state on the machine as it is now, and one message per row whose cores differ.
pub(super) fn refit(state: &DesiredState, machine: &Description) -> (DesiredState, Vec<String>) {
    let mut draft = Draft::new(state.clone(), machine);
    let usable = draft.usable;
    for row in &mut draft.desired.rows {
        row.cores = row.cores.intersection(&usable);
    }
    return_lists(&mut draft);
    // rows release cores before any row takes one
    for row in &state.rows {
        if matches!(row.budget.cores, CoreRequest::Share(_)) {
            let target = requested_cores(&row.budget.cores, usable.len());
            let _ = draft.shrink(&row.budget.name, target);
        }
    }
    // one core each first, so that a reserve does not take the last core from a row without any
    let (reserving, rest): (Vec<&Row>, Vec<&Row>) =
        state.rows.iter().partition(|row| row.budget.reserve);
    for most in [1, usize::MAX] {
        for row in reserving.iter().chain(&rest) {
            refill(&mut draft, row, most);
        }
    }
    for row in state.rows.iter().rev() {
        move_to_free_cores(&mut draft, row);
    }
    draft.derive_instances();
    let after = identity::inherit(draft.desired, state);
    let messages = state
        .rows
        .iter()
        .zip(&after.rows)
        .filter(|(before, after)| before.cores != after.cores)
        .map(|(before, after)| message(before, after, &usable))
        .collect();
    (after, messages)
}

/// Gives lists their usable CPUs back, reserved rows first, except CPUs that another row reserves.
fn return_lists(draft: &mut Draft<'_>) {
    let usable = draft.usable;
    for reserve in [true, false] {
        let lists: Vec<(String, CpuSet)> = draft
            .desired
            .rows
            .iter()
            .filter(|row| row.budget.reserve == reserve)
            .filter_map(|row| match row.budget.cores {
                CoreRequest::List(list) => Some((row.budget.name.clone(), list)),
                CoreRequest::Count(_) | CoreRequest::Share(_) => None,
            })
            .collect();
        for (name, list) in lists {
            let barred = draft
                .desired
                .rows
                .iter()
                .filter(|row| row.budget.name != name && (reserve || row.budget.reserve))
                .fold(CpuSet::EMPTY, |all, row| all.union(&row.cores));
            if let Ok(row) = draft.row_mut(&name) {
                row.cores = row.cores.union(&list.intersection(&usable).difference(&barred));
            }
        }
    }
}

/// Fills a count or a share up to the cores that it asks for, and up to `most`.
fn refill(draft: &mut Draft<'_>, row: &Row, most: usize) {
    if !matches!(row.budget.cores, CoreRequest::List(_)) {
        let target = requested_cores(&row.budget.cores, draft.usable.len()).min(most);
        // a row that gets no core stays without; its message says so
        let _ = resolve::place(draft, &row.budget, target);
    }
}

/// Moves a count or a share from cores that it shares to free ones.
fn move_to_free_cores(draft: &mut Draft<'_>, row: &Row) {
    if matches!(row.budget.cores, CoreRequest::List(_)) {
        return;
    }
    let name = row.budget.name.as_str();
    let (free, others) = (draft.free(), draft.others(&[name]));
    let topology = draft.topology();
    if let Ok(row) = draft.row_mut(name) {
        let shared = row.cores.intersection(&others);
        let moves = shared.len().min(free.len());
        let released = placement::release(topology, &shared, moves);
        row.cores = row.cores.difference(&released);
        row.cores = row.cores.union(&placement::pick(topology, &free, &row.cores, moves));
    }
}

fn message(before: &Row, after: &Row, usable: &CpuSet) -> String {
    let lost = before.cores.difference(usable);
    let released = before.cores.difference(&after.cores).difference(&lost);
    let gained = after.cores.difference(&before.cores);
    let mut parts = Vec::new();
    for (verb, cores) in [("lost", lost), ("released", released), ("got", gained)] {
        if !cores.is_empty() {
            parts.push(format!("{verb} {}", phrases::cores(&cores)));
        }
    }
    let end = if after.cores.is_empty() {
        "and has none left: it is paused".to_owned()
    } else {
        format!("and runs on {}", after.cores)
    };
    format!("{} {} {end}", after.budget.name, parts.join(", "))
}
