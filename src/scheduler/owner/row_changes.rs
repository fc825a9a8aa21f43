//! The differences between the rows of two desired states.

use crate::layout::{DesiredState, Row, SHADOWED_NAME};
use crate::scheduler::slot::Rename;

/// Returns the models with another name in `after`.
pub(super) fn renames(before: &DesiredState, after: &DesiredState) -> Vec<Rename> {
    let rename = |new: &Row| {
        let (from, to) = (&before.counterpart(new, after)?.budget.name, &new.budget.name);
        (from != to).then(|| Rename { from: from.clone(), to: to.clone() })
    };
    after.rows.iter().filter_map(rename).collect()
}

/// Returns true if a model gets the name [`SHADOWED_NAME`], as a new model or by a rename.
pub(super) fn shadows_model(before: &DesiredState, after: &DesiredState) -> bool {
    before.row(SHADOWED_NAME).is_none() && after.row(SHADOWED_NAME).is_some()
}

/// Returns true if a row differs in more than its name.
pub(super) fn has_changed(old: Option<&Row>, new: &Row) -> bool {
    let Some(old) = old else { return true };
    if (old.id, old.cores, old.threads, old.concurrency)
        != (new.id, new.cores, new.threads, new.concurrency)
    {
        return true;
    }
    if old.budget.name == new.budget.name {
        return old.budget != new.budget;
    }
    let mut renamed = old.budget.clone();
    renamed.name.clone_from(&new.budget.name);
    renamed != new.budget
}
