//! The weight and the memory budget of one row.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::memory::{MemoryBudget, MemoryContext};
use super::weight::{Weight, WeightOriginals, WeightPlanner, WeightTarget};
use crate::layout::{ProcessSelector, ProcessSource};
use crate::machine::ProcessId;
use crate::telemetry::ProcessView;

/// Time between two readings of the scheduling groups of the same processes.
const PLAN_INTERVAL: Duration = Duration::from_secs(5);

/// The weight and the memory budget of one row.
pub(super) struct RowLimits {
    planner: Arc<WeightPlanner>,
    /// True if divvy started the processes.
    is_started: bool,
    weight: Mutex<RowWeight>,
    memory: Mutex<MemoryBudget>,
}

/// The weight that was asked for, and what enforces it.
struct RowWeight {
    weight: Weight,
    nice: i32,
    /// As in [`WeightTarget::base`]; `None` if no row that shares cores has another weight.
    base: Option<i32>,
    /// Values that differ from those that are wanted.
    problems: Vec<String>,
    /// The processes whose groups were read last.
    members: Arc<[ProcessId]>,
    /// When they were read.
    planned: Option<Instant>,
}

impl RowLimits {
    /// The limits of a new row of this source.
    pub(super) fn new(source: &ProcessSource, planner: Arc<WeightPlanner>) -> Self {
        let is_started = matches!(source.selector, ProcessSelector::Command(_));
        let mut weight = Weight::new(planner.clone());
        if is_started {
            weight.set_started();
        }
        let weight = Mutex::new(RowWeight {
            weight,
            nice: 0,
            base: None,
            problems: Vec::new(),
            members: Arc::default(),
            planned: None,
        });
        Self { planner, is_started, weight, memory: Mutex::default() }
    }

    fn weight(&self) -> MutexGuard<'_, RowWeight> {
        self.weight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, MemoryBudget> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the desired nice value, relative to divvy's own.
    pub(super) fn nice(&self) -> i32 {
        self.weight().nice
    }

    /// Sets the desired nice value. Returns one message per value that differs. `record` gets the values
    /// that divvy found before any of them changes.
    pub(super) fn set_nice(
        &self,
        nice: i32,
        record: &mut dyn FnMut(&WeightOriginals),
    ) -> Vec<String> {
        let mut weight = self.weight();
        weight.nice = nice;
        weight.set_values(record);
        weight.problems.clone()
    }

    /// Notes the desired nice value of a row that may not be changed.
    pub(super) fn note_nice(&self, nice: i32) {
        self.weight().nice = nice;
    }

    /// Sets the weight of divvy's own group, as in [`WeightTarget::base`].
    pub(super) fn set_base(&self, base: Option<i32>, record: &mut dyn FnMut(&WeightOriginals)) {
        let mut weight = self.weight();
        if weight.base != base {
            weight.base = base;
            weight.set_values(record);
        }
    }

    /// Reads the groups of the row's processes if that is due, and sets the values of new processes and
    /// those that another program has changed.
    pub(super) fn check_weight(
        &self,
        members: &[ProcessId],
        now: Instant,
        record: &mut dyn FnMut(&WeightOriginals),
    ) {
        {
            let weight = self.weight();
            let is_recent = weight.planned.is_some_and(|at| now.duration_since(at) < PLAN_INTERVAL);
            if is_recent && *weight.members == *members && !weight.weight.is_pending() {
                return;
            }
        }
        // Without the lock, for which a change may wait.
        let plan = self.planner.plan(members);
        let mut weight = self.weight();
        weight.weight.set_plan(members, plan);
        weight.members = members.into();
        weight.planned = Some(now);
        if weight.weight.is_used() {
            weight.problems = weight.weight.check(now, record);
        }
    }

    /// Restores the nice values that divvy found, and changes none from now on. Returns one message per
    /// failure.
    pub(super) fn restore(&self) -> Vec<String> {
        let mut weight = self.weight();
        weight.weight.set_target(None);
        weight.weight.restore()
    }

    /// Returns one message per nice value that differs.
    pub(super) fn problems(&self) -> Vec<String> {
        self.weight().problems.clone()
    }

    /// Returns the reason why no weight can be enforced; `None` if it can.
    pub(super) fn weight_refusal(&self) -> Option<String> {
        self.weight().weight.refusal()
    }

    /// Returns the means that enforces the weight; empty if there is none.
    pub(super) fn weight_means(&self) -> String {
        self.weight().weight.description()
    }

    /// Returns true if all processes are in divvy's own scheduling group.
    pub(super) fn is_in_own_group(&self) -> bool {
        self.weight().weight.is_in_own_group()
    }

    /// Sets the memory budget in bytes.
    pub(super) fn set_memory(&self, limit: Option<u64>) {
        self.memory().set(limit);
    }

    /// Enforces the memory budget on processes that divvy started.
    pub(super) fn enforce_memory(&self, context: &MemoryContext<'_>, members: &[ProcessId]) {
        if self.is_started {
            self.memory().enforce(context, members);
        }
    }

    /// Returns true if divvy started the processes.
    pub(super) fn is_started(&self) -> bool {
        self.is_started
    }

    /// Returns the means that enforces the memory budget; empty if it is only reported.
    pub(super) fn memory_means(&self) -> String {
        self.memory().means()
    }

    /// Returns why the processes are over their memory budget, if they are.
    pub(super) fn memory_excess(&self, view: &ProcessView) -> Option<String> {
        self.memory().excess(view)
    }
}

impl RowWeight {
    fn set_values(&mut self, record: &mut dyn FnMut(&WeightOriginals)) {
        let target = self.base.map(|base| WeightTarget { nice: self.nice, base });
        self.weight.set_target(target);
        self.problems = if self.weight.is_used() { self.weight.apply(record) } else { Vec::new() };
    }
}
