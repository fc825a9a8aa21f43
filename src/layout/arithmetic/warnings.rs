//! What an operator should know before a change: only what the change brings, not what was so.

use super::super::budget::CoreRequest;
use super::super::desired::{DesiredState, Row};
use super::super::gpus;
use super::draft::{usable, wanted};
use super::words;
use crate::machine::{CpuSet, Description};

/// The warnings of the step from `before` to `after`; `pairs` are the rows that change.
pub(super) fn of(
    before: &DesiredState,
    after: &DesiredState,
    pairs: &[(Option<&Row>, Option<&Row>)],
    machine: &Description,
) -> Vec<String> {
    let mut warnings = Vec::new();
    crowding(before, after, &mut warnings);
    quota(before, after, machine, &mut warnings);
    memory(before, after, machine, &mut warnings);
    gpu_memory(before, after, machine, &mut warnings);
    for (was, is) in pairs {
        if let Some(is) = is {
            row(*was, is, after, machine, &mut warnings);
        }
    }
    warnings
}

fn crowding(before: &DesiredState, after: &DesiredState, warnings: &mut Vec<String>) {
    let (was, is) = (before.pressure(), after.pressure());
    if is.excess <= was.excess && is.cores.is_subset(&was.cores) {
        return;
    }
    let crowd: Vec<&Row> = after
        .rows
        .iter()
        .filter(|row| row.concurrency > 0 && !row.cores.is_empty())
        .filter(|row| row.cores.is_subset(&is.cores))
        .collect();
    let names: Vec<&str> = crowd.iter().map(|row| row.budget.name.as_str()).collect();
    let threads: usize = crowd.iter().map(|row| row.threads * row.concurrency).sum();
    warnings.push(format!(
        "oversubscribed: {} of {} on {} ({})",
        words::counted(threads, "thread"),
        words::listed(&names),
        words::counted(is.cores.len(), "core"),
        is.cores,
    ));
}

fn quota(
    before: &DesiredState,
    after: &DesiredState,
    machine: &Description,
    warnings: &mut Vec<String>,
) {
    let allotted = |desired: &DesiredState| {
        desired.rows.iter().fold(CpuSet::EMPTY, |all, row| all.union(&row.cores)).len()
    };
    let (was, is) = (allotted(before), allotted(after));
    if let Some(quota) = machine.limits.quota.filter(|quota| is as f64 > *quota && is > was) {
        warnings.push(format!(
            "{} {} allotted, and the container may use {quota} CPUs at once",
            words::counted(is, "core"),
            words::are(is),
        ));
    }
}

fn memory(
    before: &DesiredState,
    after: &DesiredState,
    machine: &Description,
    warnings: &mut Vec<String>,
) {
    let (was, is) = (before.memory_budgeted(), after.memory_budgeted());
    if let Some(limit) = machine.limits.usable_memory().filter(|limit| is > *limit && is > was) {
        warnings.push(words::memory_above(is, limit, &machine.limits));
    }
}

/// Limits on a GPU that add up to more than it has, where they did not before or add up to more now.
fn gpu_memory(
    before: &DesiredState,
    after: &DesiredState,
    machine: &Description,
    warnings: &mut Vec<String>,
) {
    let above = |desired: &DesiredState| {
        gpus::above(desired.rows.iter().map(|row| &row.budget), &machine.gpus)
    };
    let was = above(before);
    for (place, is) in above(after) {
        if was.get(&place).is_none_or(|was| was.sum < is.sum) {
            warnings.push(is.words);
        }
    }
}

fn row(
    was: Option<&Row>,
    is: &Row,
    after: &DesiredState,
    machine: &Description,
    warnings: &mut Vec<String>,
) {
    let name = is.budget.name.as_str();
    if let Some(old) = was.map(|was| &was.budget.name).filter(|old| *old != name) {
        warnings.push(format!("programs that send requests to {old} must send them to {name}"));
    }
    let had = was.map_or(CpuSet::EMPTY, |row| row.cores);
    if is.cores.is_empty() && !(had.is_empty() && was.is_some()) {
        warnings
            .push(format!("{name} has no cores: it is paused, its queue holds until it is full"));
    }
    let weighed = is.budget.weight != was.map_or(1, |row| row.budget.weight);
    if weighed && !is.cores.is_empty() && !after.shares(is) {
        warnings.push(format!("{name} shares no core: its weight has no effect yet"));
    }
    let idle = is.idle_cores();
    if idle > was.map_or(0, Row::idle_cores) && is.concurrency > 0 {
        warnings.push(format!(
            "{name} leaves {idle} of {} idle: {} x {}",
            words::counted(is.cores.len(), "core"),
            words::counted(is.concurrency, "instance"),
            words::counted(is.threads, "thread"),
        ));
    }
    if matches!(is.budget.cores, CoreRequest::Count(_) | CoreRequest::Share(_)) {
        asked(was, is, after, machine, warnings);
    }
    if is.budget.reserve && (is.cores != had || was.is_some_and(|row| !row.budget.reserve)) {
        halves(is, machine, warnings);
    }
}

/// A number that was not met, and sharing that nobody asked for by name.
fn asked(
    was: Option<&Row>,
    is: &Row,
    after: &DesiredState,
    machine: &Description,
    warnings: &mut Vec<String>,
) {
    let name = is.budget.name.as_str();
    let target = wanted(&is.budget.cores, usable(machine).len());
    let short =
        |row: &Row| row.cores.len() < target && matches!(row.budget.cores, CoreRequest::Count(_));
    if short(is) && was != Some(is) {
        let has = is.cores.len();
        warnings.push(format!("{name} asks for {} and gets {has}", words::counted(target, "core")));
    }
    let gained = was.map_or(is.cores, |was| is.cores.difference(&was.cores));
    let sharers: Vec<&Row> = after
        .rows
        .iter()
        .filter(|row| row.budget.name != name && !row.cores.is_disjoint(&gained))
        .collect();
    if !sharers.is_empty() {
        let names: Vec<&str> = sharers.iter().map(|row| row.budget.name.as_str()).collect();
        let all = sharers.iter().fold(CpuSet::EMPTY, |all, row| all.union(&row.cores));
        warnings.push(format!(
            "no core was free: {name} shares {} with {}",
            words::cores(&all.intersection(&gained)),
            words::listed(&names),
        ));
    }
}

/// A reserved CPU whose SMT sibling somebody else may use is only half a core.
fn halves(row: &Row, machine: &Description, warnings: &mut Vec<String>) {
    let siblings = row
        .cores
        .iter()
        .fold(CpuSet::EMPTY, |all, id| all.union(&machine.topology.siblings(id)))
        .intersection(&usable(machine))
        .difference(&row.cores);
    if !siblings.is_empty() {
        warnings.push(format!(
            "{} reserves half of a physical core: its other half, {}, can still slow it",
            row.budget.name,
            words::cores(&siblings),
        ));
    }
}
