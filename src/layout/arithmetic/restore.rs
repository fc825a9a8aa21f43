//! The way back: what a change touched as it was before, beside rows that others changed since.

use std::sync::Arc;

use super::super::budget::CoreRequest;
use super::super::change::Refusal;
use super::super::desired::{DesiredState, Row};
use super::draft::Draft;
use crate::machine::{CpuSet, Description};

/// One side of a change: what it touched, as it is there.
#[derive(Clone, Debug)]
pub struct ChangeSide {
    /// Rows by name; `None` where there is none.
    pub rows: Vec<(String, Option<Row>)>,
    /// What is around them; most changes have the same on both sides.
    pub outline: Arc<LayoutOutline>,
}

/// What a layout has beside its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct LayoutOutline {
    description: String,
    order: Vec<String>,
}

impl DesiredState {
    /// The description, and the order of the rows.
    pub fn outline(&self) -> LayoutOutline {
        let order = self.rows.iter().map(|row| row.budget.name.clone()).collect();
        LayoutOutline { description: self.description.clone(), order }
    }

    /// These rows, as they are here.
    pub fn side<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> ChangeSide {
        let row = |name: &String| (name.clone(), self.row(name).cloned());
        ChangeSide { rows: names.into_iter().map(row).collect(), outline: Arc::new(self.outline()) }
    }

    /// The rows that differ in `after`, as they are in `self`: what [`DesiredState::restore`] takes to
    /// come back here. `None` stands for a row that `self` has not.
    pub fn rows_before(&self, after: &Self) -> Vec<(String, Option<Row>)> {
        let gone_or_changed = self
            .rows
            .iter()
            .filter(|row| after.row(&row.budget.name) != Some(row))
            .map(|row| (row.budget.name.clone(), Some(row.clone())));
        let added = after
            .rows
            .iter()
            .filter(|row| self.row(&row.budget.name).is_none())
            .map(|row| (row.budget.name.clone(), None));
        gone_or_changed.chain(added).collect()
    }

    /// Takes a change back: of what differs between `before` and `after` it, everything is as
    /// before, and what changed since stays. As [`DesiredState::cross`].
    ///
    /// # Errors
    /// As [`DesiredState::restore`].
    pub fn undo(
        &self,
        before: &Self,
        after: &Self,
        machine: &Description,
    ) -> Result<Self, Refusal> {
        let rows = before.rows_before(after);
        let names: Vec<String> = rows.iter().map(|(name, _)| name.clone()).collect();
        let to = ChangeSide { rows, outline: Arc::new(before.outline()) };
        self.cross(&after.side(&names), &to, machine)
    }

    /// Goes from one side of a change to the other. Where no model came or went since, the rows
    /// have the order of that side too, and its description where it is still that of `from`.
    ///
    /// # Errors
    /// As [`DesiredState::restore`].
    pub fn cross(
        &self,
        from: &ChangeSide,
        to: &ChangeSide,
        machine: &Description,
    ) -> Result<Self, Refusal> {
        let mut there = self.restore(&to.rows, machine)?;
        if self.outline().order == from.outline.order {
            let order = &to.outline.order;
            there.rows.sort_by_key(|row| order.iter().position(|name| *name == row.budget.name));
        }
        if self.description == from.outline.description {
            there.description.clone_from(&to.outline.description);
        }
        Ok(there)
    }

    /// Puts rows back exactly as they were (`None`: the row was not there) and keeps all others.
    /// Only their generations rise. A row that was removed comes back as the last one. Where the
    /// machine has changed since, a row is back as it was asked for, on the cores that are there.
    ///
    /// # Errors
    /// [`Refusal`] when a core that a row had is reserved by another row.
    pub fn restore(
        &self,
        rows_before: &[(String, Option<Row>)],
        machine: &Description,
    ) -> Result<Self, Refusal> {
        let mut draft = Draft::new(self.clone(), machine);
        let comes_back = |id: u64| {
            rows_before.iter().any(|(_, row)| row.as_ref().is_some_and(|row| row.id == id))
        };
        let is_here = |id: u64| self.rows.iter().any(|row| row.id == id);
        // Not a row that was only renamed. A new row whose name was taken from a renamed one goes.
        let removed = |row: &Row| {
            let named = |(name, before): &(String, Option<Row>)| {
                *name == row.budget.name && before.as_ref().is_none_or(|before| is_here(before.id))
            };
            !comes_back(row.id) && rows_before.iter().any(named)
        };
        let rows = &mut draft.desired.rows;
        rows.retain(|row| !removed(row));
        for (name, before) in rows_before {
            let Some(before) = before else { continue };
            let at = rows.iter().position(|row| row.id == before.id).or_else(|| {
                let replaced = |row: &Row| row.budget.name == *name && !comes_back(row.id);
                rows.iter().position(replaced)
            });
            match at.and_then(|at| rows.get_mut(at)) {
                Some(row) => *row = before.clone(),
                None => rows.push(Row { generation: before.generation + 1, ..before.clone() }),
            }
        }
        if let Some((name, _)) = rows_before.iter().find(|(name, _)| {
            draft.desired.rows.iter().filter(|row| row.budget.name == *name).count() > 1
        }) {
            return Err(Refusal::row(
                name,
                "another model has this name now: rename that one first",
            ));
        }
        let usable = draft.usable;
        let restored = rows_before.iter().filter_map(|(_, row)| row.as_ref());
        if restored.into_iter().any(|row| is_of_another_machine(row, &usable)) {
            draft.desired = draft.desired.refit(machine).0;
        }
        draft.require_reserves(self)?;
        Ok(draft.desired.touched_since(self))
    }
}

/// Whether a row has cores that are away, or lacks some of its list that are there.
fn is_of_another_machine(row: &Row, usable: &CpuSet) -> bool {
    let lacks = match &row.budget.cores {
        CoreRequest::List(list) => !list.intersection(usable).is_subset(&row.cores),
        CoreRequest::Count(_) | CoreRequest::Share(_) => false,
    };
    lacks || !row.cores.is_subset(usable)
}
