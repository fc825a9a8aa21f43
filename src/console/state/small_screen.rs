//! Input on a terminal that is too small for the console: only the keys that its frame shows work.

use crossterm::event::KeyEvent;

use super::action::{Action, Effect};
use super::command::Command;
use super::console_state::ConsoleState;
use super::dialog::Dialog;
use super::{commands, dialog_keys};

/// Applies an input action.
pub(super) fn take_in(state: &mut ConsoleState, action: &Action) -> Vec<Effect> {
    match action {
        Action::Key(key) => press(state, *key),
        Action::Command(command) if works(*command) => commands::run(state, *command),
        _ => Vec::new(),
    }
}

fn press(state: &mut ConsoleState, key: KeyEvent) -> Vec<Effect> {
    let command = state.keymap.command(key.into()).filter(|command| works(*command));
    let shown = matches!(state.dialog, Some(Dialog::Quit | Dialog::Help { .. }));
    if shown && command != Some(Command::Suspend) {
        return dialog_keys::press(state, key);
    }
    let Some(command) = command else {
        return Vec::new();
    };
    if matches!(command, Command::Help | Command::Quit) {
        // an open dialog is not on the screen, and returns after this one
        state.covered = state.dialog.take();
    }
    let effects = commands::run(state, command);
    if state.dialog.is_none() {
        state.dialog = state.covered.take();
    }
    effects
}

/// Returns true if a command works on a terminal of any size.
fn works(command: Command) -> bool {
    matches!(command, Command::Quit | Command::Help | Command::Suspend | Command::Redraw)
}
