//! The machine's account: the cores and the memory that models have, share and reserve.

use super::super::budget::CoreRequest;
use super::super::desired::{DesiredState, Ledger};
use super::pressure::pressure;
use crate::machine::{CpuSet, Description};

/// Returns the CPUs that are online and that this process may use.
pub(super) fn usable(machine: &Description) -> CpuSet {
    if machine.topology.cores.is_empty() {
        return machine.limits.allowed;
    }
    machine.limits.allowed.intersection(&machine.topology.online())
}

/// Returns the number of cores that a request means on a machine with `usable` cores.
pub(in crate::layout) fn requested_cores(request: &CoreRequest, usable: usize) -> usize {
    match request {
        CoreRequest::List(list) => list.len(),
        CoreRequest::Count(count) => *count,
        CoreRequest::Share(percent) => {
            ((usable as f64 * percent / 100.0).round() as usize).clamp(1, usable.max(1))
        }
    }
}

/// Returns who has which part of the machine.
pub(super) fn ledger(state: &DesiredState, machine: &Description) -> Ledger {
    let allowed = usable(machine);
    let mut ledger = Ledger {
        allowed,
        quota: machine.limits.quota,
        memory_limit: machine.limits.usable_memory(),
        memory_budgeted: memory_budgeted(state),
        ..Ledger::default()
    };
    for row in &state.rows {
        ledger.shared = ledger.shared.union(&ledger.allotted.intersection(&row.cores));
        ledger.allotted = ledger.allotted.union(&row.cores);
        if row.budget.reserve {
            ledger.reserved = ledger.reserved.union(&row.cores);
        }
        ledger.threads += row.threads * row.concurrency;
    }
    ledger.free = allowed.difference(&ledger.allotted);
    ledger.oversubscribed = pressure(state).cores;
    if ledger.quota.is_some_and(|quota| ledger.allotted.len() as f64 > quota) {
        ledger.oversubscribed = ledger.allotted;
    }
    ledger
}

/// Returns the sum of all memory budgets, in bytes.
pub(super) fn memory_budgeted(state: &DesiredState) -> u64 {
    let budgets = state.rows.iter().filter_map(|row| row.budget.memory);
    budgets.fold(0, |sum, bytes| sum.saturating_add(bytes.0))
}
