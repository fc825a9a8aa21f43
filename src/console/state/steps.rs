//! Steps up or down in a field of a row.

use super::action::Effect;
use super::console_state::ConsoleState;
use super::dialog::{ConfirmedAction, Dialog};
use super::screen::{Column, Mode, Tone};
use super::staging;
use crate::layout::{Budget, CoreOwner, Edit, Row};

/// Performs a step, asks first if it takes the model's last core, or shows the reason why it is
/// impossible.
pub(super) fn step(state: &mut ConsoleState, model: &str, column: Column, by: i32) -> Vec<Effect> {
    if takes_last_core(state, model, column, by) {
        let question =
            format!("Take the last core of {model}? It is paused then, and answers no request.");
        let yes = ConfirmedAction::Step { model: model.to_owned(), column, by };
        state.dialog = Some(Dialog::Confirm { question, yes });
        return Vec::new();
    }
    step_now(state, model, column, by)
}

/// Returns true if a step would stop a running model at once.
fn takes_last_core(state: &ConsoleState, model: &str, column: Column, by: i32) -> bool {
    let last =
        |row: &Row| row.cores.len() == 1 && !row.budget.paused && !row.budget.runs_without_cores();
    column == Column::Cores
        && by < 0
        && state.mode == Mode::Live
        && !state.readonly
        && state.row(model).is_some_and(last)
}

/// Performs a step, or shows the reason why it is impossible.
pub(super) fn step_now(
    state: &mut ConsoleState,
    model: &str,
    column: Column,
    by: i32,
) -> Vec<Effect> {
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
        state.say(Tone::Info, state.no_row());
        return Vec::new();
    };
    match state.row(&name).map(|row| edit(name.clone(), &row.budget)) {
        Some(edit) => staging::commit(state, edit.into()),
        None => Vec::new(),
    }
}
