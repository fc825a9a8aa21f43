//! The operations on the desired state. Each one returns a new state and leaves the old one as it
//! was.

use super::super::budget::Layout;
use super::super::change::Change;
use super::super::desired::{DesiredState, Ledger, Row};
use super::super::plan::Plan;
use super::super::refusal::Refusal;
use super::restore::{ChangeSide, LayoutOutline};
use super::{edit, ledger, nice, plan, refit, resolve, restore};
use crate::machine::Description;

impl DesiredState {
    /// Places a layout on a machine. Generations start at 0.
    ///
    /// # Errors
    /// [`Refusal`] when a value is out of range, two rows have the same name, a list names CPUs that
    /// this process cannot use, reserved cores overlap, or reserves leave a row without a core.
    pub fn resolve(layout: &Layout, machine: &Description) -> Result<Self, Refusal> {
        resolve::resolve(layout, machine)
    }

    /// Returns the state after a change.
    ///
    /// # Errors
    /// [`Refusal`] when an edit is not possible, two rows would have a reserved core, or nothing
    /// would change.
    pub fn change(&self, change: &Change, machine: &Description) -> Result<Self, Refusal> {
        edit::change(self, change, machine)
    }

    /// Returns the consequences of a change; the state after it is that of [`Self::change`].
    ///
    /// # Errors
    /// As [`Self::change`].
    pub fn plan(&self, change: &Change, machine: &Description) -> Result<Plan, Refusal> {
        Ok(self.plan_to(self.change(change, machine)?, machine))
    }

    /// Returns the consequences of going from this state to another, for example by an undo.
    pub fn plan_to(&self, after: Self, machine: &Description) -> Plan {
        plan::plan(self, after, machine)
    }

    /// Adapts the state to a machine that has changed. Returns it with one message per row whose
    /// cores differ; the generations of those rows rise by one. On the machine that the state was
    /// made for, nothing differs, unless cores became free that a count or a share lacks.
    pub fn refit(&self, machine: &Description) -> (Self, Vec<String>) {
        refit::refit(self, machine)
    }

    /// Returns who has which part of the machine.
    pub fn ledger(&self, machine: &Description) -> Ledger {
        ledger::ledger(self, machine)
    }

    /// Returns the nice value of a row's threads, 0 to 19.
    pub fn nice(&self, row: &Row) -> i32 {
        nice::nice(self, row)
    }

    /// Returns the nice value of the heaviest row that shares cores with this one, directly or through
    /// others, and for which `is_in_group` is true: the weight that a scheduling group of its own is to be
    /// compared with. 0 if there is no such row; `None` if all rows that share cores have the same weight.
    pub fn weight_base(&self, row: &Row, is_in_group: impl Fn(&Row) -> bool) -> Option<i32> {
        nice::weight_base(self, row, is_in_group)
    }

    /// Returns the description and the order of the rows.
    pub fn outline(&self) -> LayoutOutline {
        LayoutOutline::of(self)
    }

    /// Returns the rows of these names as they are in this state.
    pub fn side<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> ChangeSide {
        restore::side(self, names)
    }

    /// Returns the rows that differ in `after`, as they are in this state; `None` for a row that
    /// this state does not have. [`Self::restore`] takes them.
    pub fn rows_before(&self, after: &Self) -> Vec<(String, Option<Row>)> {
        restore::rows_before(self, after)
    }

    /// Undoes a change: what differs between `before` and `after` is as it was before, and what has
    /// changed since stays. As [`Self::cross`].
    ///
    /// # Errors
    /// As [`Self::restore`].
    pub fn undo(
        &self,
        before: &Self,
        after: &Self,
        machine: &Description,
    ) -> Result<Self, Refusal> {
        let rows = restore::rows_before(before, after);
        let from = restore::side(after, rows.iter().map(|(name, _)| name));
        let to = ChangeSide { rows, outline: before.outline().into() };
        restore::cross(self, &from, &to, machine)
    }

    /// Switches from one side of a change to the other (undo or redo). The rows get the order of
    /// the other side if no model was added or removed since, and the description if it is still
    /// that of `from`.
    ///
    /// # Errors
    /// As [`Self::restore`].
    pub fn cross(
        &self,
        from: &ChangeSide,
        to: &ChangeSide,
        machine: &Description,
    ) -> Result<Self, Refusal> {
        restore::cross(self, from, to, machine)
    }

    /// Restores rows exactly (`None`: the row did not exist) and keeps all others. Only their
    /// generations rise. A removed row comes back as the last one. If the machine has changed since,
    /// a row gets what it asked for from the cores that are there.
    ///
    /// # Errors
    /// [`Refusal`] when another row has reserved a core of a restored row, or has its name.
    pub fn restore(
        &self,
        rows_before: &[(String, Option<Row>)],
        machine: &Description,
    ) -> Result<Self, Refusal> {
        restore::restore(self, rows_before, machine)
    }
}
