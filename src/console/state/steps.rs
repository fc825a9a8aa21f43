//! Steps up or down in a field of a row.

use super::action::Effect;
use super::console_state::ConsoleState;
use super::screen::{Column, Tone};
use super::staging;
use crate::layout::{Budget, CoreOwner, Edit};

/// Performs a step, or shows the reason why it is impossible.
pub(super) fn step(state: &mut ConsoleState, model: &str, column: Column, by: i32) -> Vec<Effect> {
    match state.step_change(model, column, by) {
        Ok(change) => staging::commit(state, change),
        Err(reason) => {
            state.say(Tone::Info, reason);
            Vec::new()
        }
    }
}

/// Pauses the selected model or resumes it.
pub(super) fn pause(state: &mut ConsoleState) -> Vec<Effect> {
    toggle_row(state, |name, row| Edit::Pause { model: name, paused: !row.paused })
}

/// Reserves the selected row's cores, or ends the reservation.
pub(super) fn reserve(state: &mut ConsoleState) -> Vec<Effect> {
    toggle_row(state, |name, row| Edit::SetReserve { model: name, reserve: !row.reserve })
}

fn toggle_row(state: &mut ConsoleState, edit: impl FnOnce(String, &Budget) -> Edit) -> Vec<Effect> {
    let CoreOwner::Model(name) = state.selected.clone() else {
        state.say(Tone::Info, "select a model first");
        return Vec::new();
    };
    match state.row(&name).map(|row| edit(name.clone(), &row.budget)) {
        Some(edit) => staging::commit(state, edit.into()),
        None => Vec::new(),
    }
}
