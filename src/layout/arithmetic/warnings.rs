//! Warnings about a change. A condition that existed before the change is not warned about again.

use super::super::budget::{Budget, CoreRequest, LoadSpec, Overflow, QueuePolicy};
use super::super::desired::{DesiredState, Row};
use super::super::gpu_check;
use super::super::model_name::short_name;
use super::super::process_source::ProcessSelector;
use super::super::units::print_duration;
use super::ledger::{memory_budgeted, requested_cores, usable};
use super::nice::shares_cores;
use super::phrases;
use super::pressure::pressure;
use super::state_change::{RowChange, StateChange};
use crate::machine::{CpuSet, Description};

/// Returns what happens to the requests of a paused model: "40/s -> 0/s, requests time out after
/// 500ms".
fn losses(budget: &Budget) -> String {
    let rate = match budget.load {
        Some(
            LoadSpec::Poisson { rate }
            | LoadSpec::Constant { rate }
            | LoadSpec::Replay { rate: Some(rate), .. },
        ) => format!("{}/s -> 0/s, ", phrases::number(rate)),
        _ => String::new(),
    };
    let QueuePolicy { limit, timeout, overflow, levels: _ } = budget.queue;
    let fate = match (timeout, overflow) {
        (Some(timeout), _) => format!("requests time out after {}", print_duration(timeout)),
        (None, Overflow::Reject) => {
            format!("{} may wait, others are rejected", phrases::counted(limit, "request"))
        }
        (None, Overflow::Block) => "requests wait until it is resumed".to_owned(),
    };
    format!("{rate}{fate}")
}

/// Returns the warnings about a change.
pub(super) fn warnings(
    states: StateChange<'_>,
    changes: &[RowChange<'_>],
    machine: &Description,
) -> Vec<String> {
    let mut found = Warnings { states, machine, messages: Vec::new() };
    found.oversubscription();
    found.quota();
    found.memory();
    found.gpu_memory();
    for change in changes {
        found.row(*change);
    }
    found.messages
}

struct Warnings<'a> {
    states: StateChange<'a>,
    machine: &'a Description,
    messages: Vec<String>,
}

impl Warnings<'_> {
    fn oversubscription(&mut self) {
        let after = self.states.after;
        let (old, new) = (pressure(self.states.before), pressure(after));
        if new.excess <= old.excess && new.cores.is_subset(&old.cores) {
            return;
        }
        let crowd: Vec<&Row> = after
            .rows
            .iter()
            .filter(|row| row.concurrency > 0 && !row.cores.is_empty())
            .filter(|row| row.cores.is_subset(&new.cores))
            .collect();
        let names: Vec<&str> = crowd.iter().map(|row| row.budget.name.as_str()).collect();
        let threads: usize = crowd.iter().map(|row| row.threads * row.concurrency).sum();
        let cores = match new.cores.len() {
            1 => phrases::cores(&new.cores),
            count => format!("{} ({})", phrases::counted(count, "core"), new.cores),
        };
        self.messages.push(format!(
            "oversubscribed: {} of {} on {cores}",
            phrases::counted(threads, "thread"),
            phrases::listed(&names),
        ));
    }

    fn quota(&mut self) {
        let allotted = |state: &DesiredState| {
            state.rows.iter().fold(CpuSet::EMPTY, |all, row| all.union(&row.cores)).len()
        };
        let (old, new) = (allotted(self.states.before), allotted(self.states.after));
        let Some(quota) = self.machine.limits.quota else { return };
        if new as f64 > quota && new > old {
            self.messages.push(format!(
                "{} {} allotted, but the container may use only {} CPUs at a time",
                phrases::counted(new, "core"),
                phrases::are(new),
                phrases::number(quota),
            ));
        }
    }

    fn memory(&mut self) {
        let limits = &self.machine.limits;
        let old = memory_budgeted(self.states.before);
        let new = memory_budgeted(self.states.after);
        if let Some(limit) = limits.usable_memory().filter(|limit| new > *limit && new > old) {
            self.messages.push(phrases::memory_above(new, limit, limits));
        }
    }

    /// Warns about limits on a GPU whose sum exceeds its memory.
    fn gpu_memory(&mut self) {
        let exceeded = |state: &DesiredState| {
            let budgets = state.rows.iter().map(|row| &row.budget);
            gpu_check::exceeded_limits(budgets, &self.machine.gpus)
        };
        let old = exceeded(self.states.before);
        for (gpu, new) in exceeded(self.states.after) {
            if old.get(&gpu).is_none_or(|old| old.sum < new.sum) {
                self.messages.push(new.message);
            }
        }
    }

    fn row(&mut self, change: RowChange<'_>) {
        self.command(change);
        let Some(row) = change.after else { return };
        let before = change.before;
        let name = short_name(&row.budget.name);
        let is_model = !row.budget.is_process();
        if is_model && let Some(old) = change.renamed_from().map(short_name) {
            let message = format!("programs that send requests to {old} must send them to {name}");
            self.messages.push(message);
        }
        let old_cores = before.map_or(CpuSet::EMPTY, |row| row.cores);
        let runs = |row: &Row| !row.cores.is_empty() && !row.budget.paused;
        if is_model && !runs(row) && before.is_none_or(runs) {
            let why = if row.cores.is_empty() { "has no cores and is paused" } else { "is paused" };
            self.messages.push(format!("{name} {why}: {}", losses(&row.budget)));
        }
        let has_new_weight = row.budget.weight != before.map_or(1, |row| row.budget.weight);
        if has_new_weight && !row.cores.is_empty() && !shares_cores(self.states.after, row) {
            self.messages.push(format!("{name} shares no core: its weight has no effect yet"));
        }
        let idle = row.idle_cores();
        if idle > before.map_or(0, Row::idle_cores) && row.concurrency > 0 {
            self.messages.push(format!(
                "{name} leaves {idle} of {} idle: {} x {}",
                phrases::counted(row.cores.len(), "core"),
                phrases::counted(row.concurrency, "instance"),
                phrases::counted(row.threads, "thread"),
            ));
        }
        if matches!(row.budget.cores, CoreRequest::Count(_) | CoreRequest::Share(_)) {
            self.core_request(before, row);
        }
        let reserves_now = before.is_some_and(|before| !before.budget.reserve);
        if row.budget.reserve && (row.cores != old_cores || reserves_now) {
            self.half_cores(row);
        }
    }

    /// Warns about a command that the change starts or ends.
    fn command(&mut self, change: RowChange<'_>) {
        let command = |row: Option<&Row>| match &row?.budget.source.process()?.selector {
            ProcessSelector::Command(command) => Some(command.args.join(" ")),
            _ => None,
        };
        let (old, new) = (command(change.before), command(change.after));
        if old == new {
            return;
        }
        let name = |row: Option<&Row>| row.map(|row| short_name(&row.budget.name).into_owned());
        if let (Some(old), Some(name)) = (old, name(change.before)) {
            self.messages.push(format!("{name}: divvy ends its command, {old}"));
        }
        if let (Some(new), Some(name)) = (new, name(change.after)) {
            self.messages.push(format!("{name}: divvy starts its command, {new}"));
        }
    }

    /// Warns about a count that was not met, and about new cores that other models have too.
    fn core_request(&mut self, before: Option<&Row>, row: &Row) {
        let name = short_name(&row.budget.name);
        let target = requested_cores(&row.budget.cores, usable(self.machine).len());
        let is_count = matches!(row.budget.cores, CoreRequest::Count(_));
        if is_count && row.cores.len() < target && before != Some(row) {
            self.messages.push(format!(
                "{name} asks for {} but gets {}",
                phrases::counted(target, "core"),
                row.cores.len(),
            ));
        }
        let gained = before.map_or(row.cores, |before| row.cores.difference(&before.cores));
        let sharers: Vec<&Row> = self
            .states
            .after
            .rows
            .iter()
            .filter(|other| {
                other.budget.name != row.budget.name && !other.cores.is_disjoint(&gained)
            })
            .collect();
        if !sharers.is_empty() {
            let names: Vec<&str> = sharers.iter().map(|row| row.budget.name.as_str()).collect();
            let all = sharers.iter().fold(CpuSet::EMPTY, |all, row| all.union(&row.cores));
            self.messages.push(format!(
                "{name} shares {} with {}",
                phrases::cores(&all.intersection(&gained)),
                phrases::listed(&names),
            ));
        }
    }

    /// Warns about a reserved CPU whose SMT sibling is not reserved: half a physical core.
    fn half_cores(&mut self, row: &Row) {
        let siblings = row
            .cores
            .iter()
            .fold(CpuSet::EMPTY, |all, id| all.union(&self.machine.topology.siblings(id)))
            .intersection(&usable(self.machine))
            .difference(&row.cores);
        if !siblings.is_empty() {
            self.messages.push(format!(
                "{} reserves half of a physical core: work on the other half, {}, slows it down",
                short_name(&row.budget.name),
                phrases::cores(&siblings),
            ));
        }
    }
}
