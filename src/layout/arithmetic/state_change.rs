//! The states before and after a change, and the rows that differ.

use super::super::desired::{DesiredState, Row};
use super::super::plan::RowPlan;
use crate::machine::CpuSet;

/// A row before and after a change.
#[derive(Clone, Copy)]
pub(super) struct RowChange<'a> {
    /// `None` for a model that is added.
    pub before: Option<&'a Row>,
    /// `None` for a model that is removed.
    pub after: Option<&'a Row>,
}

/// The states before and after a change.
#[derive(Clone, Copy)]
pub(super) struct StateChange<'a> {
    pub before: &'a DesiredState,
    pub after: &'a DesiredState,
}

impl<'a> StateChange<'a> {
    /// Returns the rows that differ, in the order of the state after, removed rows last.
    pub(super) fn row_changes(self) -> Vec<RowChange<'a>> {
        let Self { before, after } = self;
        let kept = after
            .rows
            .iter()
            .map(|row| RowChange { before: before.counterpart(row, after), after: Some(row) });
        let removed = before
            .rows
            .iter()
            .filter(|row| after.counterpart(row, before).is_none())
            .map(|row| RowChange { before: Some(row), after: None });
        kept.chain(removed)
            .filter(|row| row.differs() || self.rebuilds(*row) || self.nice_values(*row).is_some())
            .collect()
    }

    pub(super) fn row_plan(self, change: RowChange<'_>) -> Option<RowPlan> {
        let RowChange { before, after } = change;
        let cores = |row: Option<&Row>| row.map_or(CpuSet::EMPTY, |row| row.cores);
        let concurrency = |row: Option<&Row>| row.map_or(0, |row| row.concurrency);
        let threads = |row: Option<&Row>| row.map_or(0, |row| row.threads);
        Some(RowPlan {
            model: after.or(before)?.budget.name.clone(),
            renamed_from: change.renamed_from().map(str::to_owned),
            cores_before: cores(before),
            cores_after: cores(after),
            concurrency_before: concurrency(before),
            concurrency_after: concurrency(after),
            threads_before: threads(before),
            threads_after: threads(after),
            rebuild: self.rebuilds(change),
            last_build_us: None,
            idle_cores: after.map_or(0, Row::idle_cores),
        })
    }

    /// Returns true if instances of a model that stays must be rebuilt. A model without cores builds
    /// none.
    fn rebuilds(self, change: RowChange<'_>) -> bool {
        let (Some(before), Some(after)) = (change.before, change.after) else { return false };
        let (old, new) = (&before.budget, &after.budget);
        !after.cores.is_empty()
            && (before.threads != after.threads
                || before.spinning(self.before) != after.spinning(self.after)
                || before.loads != after.loads
                || old.source != new.source
                || old.engine != new.engine
                || old.dims != new.dims
                || old.inputs != new.inputs
                || old.recording() != new.recording()
                || old.gpu != new.gpu
                || before.gpu_memory_each() != after.gpu_memory_each())
    }

    /// Returns the nice values before and after, if they differ for a model that stays.
    pub(super) fn nice_values(self, change: RowChange<'_>) -> Option<(i32, i32)> {
        let values = (self.before.nice(change.before?), self.after.nice(change.after?));
        (values.0 != values.1).then_some(values)
    }
}

impl<'a> RowChange<'a> {
    /// Returns the old name of a model that is renamed.
    pub(super) fn renamed_from(self) -> Option<&'a str> {
        let old = self.before?.budget.name.as_str();
        (old != self.after?.budget.name).then_some(old)
    }

    fn differs(self) -> bool {
        let (Some(before), Some(after)) = (self.before, self.after) else { return true };
        // a new field of a row has to be compared here too, except bookkeeping
        let Row { budget, cores, threads, concurrency, generation: _, loads, id: _ } = before;
        *budget != after.budget
            || *cores != after.cores
            || *threads != after.threads
            || *concurrency != after.concurrency
            || *loads != after.loads
    }
}
