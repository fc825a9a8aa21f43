//! Undo: restores the rows that a change touched, and keeps what others have changed since.

use std::sync::Arc;

use super::super::budget::CoreRequest;
use super::super::desired::{DesiredState, Row};
use super::super::refusal::Refusal;
use super::draft::Draft;
use super::identity;
use super::refit::refit;
use crate::machine::{CpuSet, Description};

/// The state before or after a change, as far as the change touched it.
#[derive(Clone, Debug)]
pub struct ChangeSide {
    /// Rows by name; `None` for a row that does not exist on this side.
    pub rows: Vec<(String, Option<Row>)>,
    /// The rest of the layout. Most changes have the same one on both sides.
    pub outline: Arc<LayoutOutline>,
}

/// A layout without its rows: its description, and the order of its models.
#[derive(Clone, Debug, PartialEq)]
pub struct LayoutOutline {
    description: String,
    order: Vec<String>,
}

impl LayoutOutline {
    /// Returns the outline of a state.
    pub(super) fn of(state: &DesiredState) -> Self {
        let order = state.rows.iter().map(|row| row.budget.name.clone()).collect();
        Self { description: state.description.clone(), order }
    }
}

/// Returns the rows of these names as they are in a state.
pub(super) fn side<'a>(
    state: &DesiredState,
    names: impl IntoIterator<Item = &'a String>,
) -> ChangeSide {
    let row = |name: &String| (name.clone(), state.row(name).cloned());
    let outline = Arc::new(LayoutOutline::of(state));
    ChangeSide { rows: names.into_iter().map(row).collect(), outline }
}

/// Returns the rows that differ, as they are in `before`.
pub(super) fn rows_before(
    before: &DesiredState,
    after: &DesiredState,
) -> Vec<(String, Option<Row>)> {
    let removed_or_changed = before
        .rows
        .iter()
        .filter(|row| after.row(&row.budget.name) != Some(row))
        .map(|row| (row.budget.name.clone(), Some(row.clone())));
    let added = after
        .rows
        .iter()
        .filter(|row| before.row(&row.budget.name).is_none())
        .map(|row| (row.budget.name.clone(), None));
    removed_or_changed.chain(added).collect()
}

/// Goes from one side of a change to the other.
///
/// # Errors
/// As [`restore`].
pub(super) fn cross(
    state: &DesiredState,
    from: &ChangeSide,
    to: &ChangeSide,
    machine: &Description,
) -> Result<DesiredState, Refusal> {
    let mut after = restore(state, &to.rows, machine)?;
    if LayoutOutline::of(state).order == from.outline.order {
        let order = &to.outline.order;
        after.rows.sort_by_key(|row| order.iter().position(|name| *name == row.budget.name));
    }
    if state.description == from.outline.description {
        after.description.clone_from(&to.outline.description);
    }
    Ok(after)
}

/// Restores rows exactly and keeps all others.
///
/// # Errors
/// [`Refusal`] when another row has reserved a core of a restored row, or has its name.
pub(super) fn restore(
    state: &DesiredState,
    rows_before: &[(String, Option<Row>)],
    machine: &Description,
) -> Result<DesiredState, Refusal> {
    let mut draft = Draft::new(state.clone(), machine);
    replace_rows(&mut draft.desired, rows_before);
    require_distinct_names(&draft.desired, rows_before)?;
    let usable = draft.usable;
    let restored = rows_before.iter().filter_map(|(_, row)| row.as_ref());
    if restored.into_iter().any(|row| is_of_another_machine(row, &usable)) {
        draft.desired = refit(&draft.desired, machine).0;
    }
    draft.require_reserves(state)?;
    Ok(identity::inherit(draft.desired, state))
}

/// Replaces rows by their earlier ones. Rows are matched by identity, so that a renamed model gets
/// its old name back and is not replaced; rows without a match are matched by name.
fn replace_rows(state: &mut DesiredState, rows_before: &[(String, Option<Row>)]) {
    let present: Vec<u64> = state.rows.iter().map(|row| row.id).collect();
    let is_restored =
        |id: u64| rows_before.iter().any(|(_, row)| row.as_ref().is_some_and(|row| row.id == id));
    // a model that was added, also one that got the old name of a renamed model
    let is_removed = |row: &Row| {
        let names_row = |(name, before): &(String, Option<Row>)| {
            let is_elsewhere = before.as_ref().is_none_or(|before| present.contains(&before.id));
            *name == row.budget.name && is_elsewhere
        };
        !is_restored(row.id) && rows_before.iter().any(names_row)
    };
    let rows = &mut state.rows;
    rows.retain(|row| !is_removed(row));
    for (name, before) in rows_before {
        let Some(before) = before else { continue };
        let at = rows.iter().position(|row| row.id == before.id).or_else(|| {
            let has_name = |row: &Row| row.budget.name == *name && !is_restored(row.id);
            rows.iter().position(has_name)
        });
        match at.and_then(|at| rows.get_mut(at)) {
            Some(row) => *row = before.clone(),
            None => rows.push(Row { generation: before.generation + 1, ..before.clone() }),
        }
    }
}

fn require_distinct_names(
    state: &DesiredState,
    rows_before: &[(String, Option<Row>)],
) -> Result<(), Refusal> {
    for (name, _) in rows_before {
        if state.rows.iter().filter(|row| row.budget.name == *name).count() > 1 {
            let reason = "another row has this name now: rename that row first";
            return Err(Refusal::row(name, reason));
        }
    }
    Ok(())
}

/// Returns true if a row has unusable cores, or lacks usable cores of its list.
fn is_of_another_machine(row: &Row, usable: &CpuSet) -> bool {
    let lacks_cores = match &row.budget.cores {
        CoreRequest::List(list) => !list.intersection(usable).is_subset(&row.cores),
        CoreRequest::Count(_) | CoreRequest::Share(_) => false,
    };
    lacks_cores || !row.cores.is_subset(usable)
}
