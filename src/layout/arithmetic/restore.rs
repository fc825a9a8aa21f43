//! The way back: rows as they were before a change, beside rows that others changed since.

use super::super::change::Refusal;
use super::super::desired::{Desired, Row};
use super::draft::Draft;
use crate::machine::Description;

impl Desired {
    /// The rows that differ in `after`, as they are in `self`: what [`Desired::restore`] takes to
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
    /// before, and what changed since stays. Where no model came or went since, the rows have
    /// their order back too, and the description where it is still that of `after`.
    ///
    /// # Errors
    /// As [`Desired::restore`].
    pub fn undo(
        &self,
        before: &Self,
        after: &Self,
        machine: &Description,
    ) -> Result<Self, Refusal> {
        let names = |desired: &Self| -> Vec<String> {
            desired.rows.iter().map(|row| row.budget.name.clone()).collect()
        };
        let mut back = self.restore(&before.rows_before(after), machine)?;
        if names(self) == names(after) {
            let order = names(before);
            back.rows.sort_by_key(|row| order.iter().position(|name| *name == row.budget.name));
        }
        if self.description == after.description {
            back.description.clone_from(&before.description);
        }
        Ok(back)
    }

    /// Puts rows back exactly as they were (`None`: the row was not there) and keeps all others.
    /// Only their generations rise. A row that was removed comes back as the last one.
    ///
    /// # Errors
    /// [`Refusal`] when a core that a row had is not usable now, or is reserved by another row.
    pub fn restore(
        &self,
        rows_before: &[(String, Option<Row>)],
        machine: &Description,
    ) -> Result<Self, Refusal> {
        let mut draft = Draft::new(self.clone(), machine);
        for (name, before) in rows_before {
            let rows = &mut draft.desired.rows;
            match (rows.iter_mut().find(|row| row.budget.name == *name), before) {
                (Some(row), Some(before)) => *row = before.clone(),
                (None, Some(before)) => {
                    let generation = before.generation + 1;
                    rows.push(Row { generation, ..before.clone() });
                }
                (_, None) => rows.retain(|row| row.budget.name != *name),
            }
            if let Some(before) = before {
                draft.require_usable(name, &before.cores)?;
            }
        }
        draft.require_reserves(self)?;
        Ok(draft.desired.touched_since(self))
    }
}
