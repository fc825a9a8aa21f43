//! Check for input whose outcome the state does not show yet.

use super::console_state::ConsoleState;
use super::dialog::Dialog;
use super::row_editor::RowEditor;
use crate::telemetry::Applied;

/// Notes an applied change. If it adds, removes or renames rows, the state is settled once a snapshot
/// shows it.
pub(super) fn note_applied(state: &mut ConsoleState, applied: &Applied) {
    let shown = state.snapshot.models.iter().map(|view| &view.row.budget.name);
    if !applied.plan.after.rows.iter().map(|row| &row.budget.name).eq(shown) {
        state.awaited_version = applied.version;
    }
}

/// Returns true if no entered text is being parsed, and the rows are those of the last applied change.
pub fn is_settled(state: &ConsoleState) -> bool {
    let entered = match &state.dialog {
        Some(Dialog::Row(RowEditor { prompt: Some(prompt), .. }) | Dialog::Add(prompt)) => {
            prompt.entered
        }
        _ => false,
    };
    !entered && state.snapshot.state_version >= state.awaited_version
}
