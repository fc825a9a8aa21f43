//! Loads layouts: each is one change.

use crate::layout::{Change, Edit, Layout, Refusal};
use crate::scheduler::Control;
use crate::telemetry::{Applied, Author};

/// Returns the change that loads a layout.
pub(super) fn load_change(layout: Layout) -> Change {
    Edit::Load { layout: Box::new(layout) }.into()
}

/// Loads a layout. Returns `None` if it is already live.
///
/// # Errors
/// The message of a refusal.
pub(super) fn load(control: &dyn Control, layout: Layout) -> Result<Option<Applied>, String> {
    unless_nothing(control.apply(load_change(layout), Author::Console))
}

/// Treats "the layout is already live" as success.
pub(super) fn unless_nothing<T>(result: Result<T, Refusal>) -> Result<Option<T>, String> {
    match result {
        Err(refusal) if refusal.is_nothing() => Ok(None),
        other => other.map(Some).map_err(|refusal| refusal.to_string()),
    }
}
