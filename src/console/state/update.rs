//! `update`: the only function that changes the state. It takes an action and returns effects; it
//! reads nothing but the state and performs nothing itself.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::action::{Action, Effect, PlanPurpose};
use super::command::Command;
use super::console_state::ConsoleState;
use super::dialog::Dialog;
use super::drag::DragInput;
use super::hits::Target;
use super::offers::matching;
use super::screen::{Pane, Screen, Tone};
use super::{
    attachment, commands, dialog_keys, excess, gestures, journal, layout_commands, message_change,
    navigation, origin_changes, process_picker, row_editing, row_order, selection, small_screen,
    staging, steps,
};
use crate::layout::CoreOwner;

/// Applies an action to the state; returns the effects to perform.
pub fn update(state: &mut ConsoleState, action: Action) -> Vec<Effect> {
    if !matches!(action, Action::Snapshot(_)) {
        state.revision += 1;
    }
    let before = state.profile.clone();
    // the run knows it already
    let is_recorded = matches!(action, Action::Current { .. });
    // saving may give a file to a layout that had none, under the same name; loading may read a changed file
    let is_new_file = match &action {
        Action::Saved { result, .. } => result.is_ok(),
        Action::Loaded { result, .. } => result.is_ok(),
        _ => false,
    };
    let mut effects = take_in(state, action);
    if is_new_file || (state.profile != before && !is_recorded) {
        // first, so that it is performed even if the console ends
        effects.insert(0, Effect::SetCurrentLayout(state.profile.clone()));
    }
    effects
}

fn take_in(state: &mut ConsoleState, action: Action) -> Vec<Effect> {
    if state.too_small && action.is_gesture() {
        return small_screen::take_in(state, &action);
    }
    match action {
        Action::Key(key) => return press_key(state, key),
        Action::Paste(text) => return dialog_keys::paste(state, &text),
        Action::Command(command) => {
            state.dialog = None;
            state.covered = None;
            state.leaving = false;
            return commands::run(state, command);
        }
        Action::Jump(row) => return navigation::jump(state, row),
        Action::Click(target) => return click(state, target),
        Action::Expand(pane) => {
            state.expanded = !(state.expanded && state.focus == pane);
            state.focus = pane;
        }
        Action::Grab { .. }
        | Action::Hover { .. }
        | Action::Pick
        | Action::PickCore { .. }
        | Action::Drop { .. }
        | Action::Aim { .. }
        | Action::CancelDrag(_)
        | Action::Amount(_) => return gestures::perform(state, action),
        Action::Step { model, column, by } => return steps::step(state, &model, column, by),
        Action::Scroll(by) => return navigation::scroll_list(state, by),
        Action::Wheel { what, by } => navigation::scroll_lines(state, what, by),
        Action::Resized => gestures::cancel_drag(state, "the terminal's size changed"),
        Action::FocusLost => {
            // a drag by two clicks or by keys can continue later; one with a held button cannot
            if matches!(
                state.drag.as_ref().map(|drag| drag.input),
                Some(DragInput::ButtonHeld { .. })
            ) {
                gestures::cancel_drag(state, "the window lost the focus");
            }
        }
        Action::Snapshot(snapshot) => {
            let first = state.snapshot.models.is_empty();
            state.history.observe(&snapshot);
            let newer = snapshot.newest_change() != state.snapshot.newest_change();
            if newer {
                // the newest change is the first line
                state.scroll_changes = 0;
            }
            // the staged changes were planned on rows that have changed
            let overtaken = newer && !state.staged.is_empty();
            let known = state.snapshot.newest_change();
            let before = std::mem::replace(&mut state.snapshot, snapshot);
            message_change::follow_changes(state, &before);
            origin_changes::switch_origins(state, known);
            staging::drop_overtaken(state);
            if first {
                selection::select(state, state.rows().first().cloned());
            }
            selection::select_arrived(state);
            row_order::keep_order(state);
            selection::keep_selection(state);
            let mut effects = state.follow_log();
            effects.extend(origin_changes::follow_current(state, known));
            if overtaken {
                effects.extend(staging::plan_staged(state));
                state.planned_anew = state.staged_ticket;
            }
            return effects;
        }
        Action::Connection { connection, lost_s } => {
            attachment::follow(state, connection, lost_s);
        }
        Action::RunStopped(Ok(())) => {
            state.say(Tone::Info, "the run finishes its requests, and then ends");
            if std::mem::take(&mut state.leaving) {
                return vec![Effect::Quit];
            }
        }
        Action::RunStopped(Err(reason)) => {
            state.leaving = false;
            state.say(Tone::Bad, format!("the run was not ended: {reason}"));
        }
        Action::Planned { ticket, question: PlanPurpose::Drag, result } => {
            gestures::drag_planned(state, ticket, *result);
        }
        Action::Planned { ticket, question: PlanPurpose::Staged, result } => {
            return staging::staged_planned(state, ticket, *result);
        }
        Action::Read { ticket, result } => return row_editing::parsed(state, ticket, *result),
        Action::Surveyed { ticket, refusals } => gestures::surveyed(state, ticket, refusals),
        Action::Applied { kind, result } => {
            return staging::change_applied(state, kind, *result);
        }
        Action::Excessive { change, rows } => excess::ask(state, change, &rows),
        Action::Profiles(profiles) => return layout_commands::layouts_listed(state, profiles),
        Action::Previewed { ticket, result } => {
            layout_commands::layout_previewed(state, ticket, *result);
        }
        Action::Loaded { name, result } => {
            return layout_commands::layout_loaded(state, name, *result);
        }
        Action::Saved { name, result } => {
            return layout_commands::layout_saved(state, name, result);
        }
        Action::Renamed { from, to, result } => {
            return layout_commands::layout_renamed(state, &from, &to, result);
        }
        Action::Deleted { name, result } => {
            return layout_commands::layout_deleted(state, &name, result);
        }
        Action::Current { known, name, saved } => {
            origin_changes::adopt_current(state, known.as_deref(), name, saved.map(|saved| *saved));
        }
        Action::Baseline(layout) => state.saved = Some(layout.models),
        Action::Journal(entries) => state.journal.entries = entries,
        Action::Log(newer) => state.log.take(newer),
        Action::Recorded(Ok(text)) => state.say(Tone::Good, text),
        Action::Recorded(Err(reason)) => state.say(Tone::Bad, format!("not recorded: {reason}")),
        Action::Pictured(Ok(place)) => state.say(Tone::Good, format!("picture written to {place}")),
        Action::Pictured(Err(reason)) => state.say(Tone::Bad, format!("no picture: {reason}")),
    }
    Vec::new()
}

fn press_key(state: &mut ConsoleState, key: KeyEvent) -> Vec<Effect> {
    if key.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let suspend = state.keymap.command(key.into()) == Some(Command::Suspend);
    if state.dialog.is_some() && !suspend {
        return dialog_keys::press(state, key);
    }
    if let Some(command) = state.keymap.command(key.into()) {
        return commands::run(state, command);
    }
    match key.code {
        KeyCode::Char(digit @ '0'..='9') if key.modifiers == KeyModifiers::NONE => {
            navigation::jump(state, digit as usize - '0' as usize)
        }
        _ => Vec::new(),
    }
}

fn click(state: &mut ConsoleState, target: Target) -> Vec<Effect> {
    state.message = None;
    match target {
        Target::Row(owner) | Target::RowCore(owner) => selection::select(state, Some(owner)),
        Target::Field(model, column) => {
            selection::select(state, Some(CoreOwner::Model(model)));
            state.column = column;
        }
        Target::Item(at) if matches!(state.dialog, Some(Dialog::Palette { .. })) => {
            if let Some(Dialog::Palette { editor, .. }) = state.dialog.take() {
                let found = matching(state, &editor.text());
                if let Some(command) = found.get(at) {
                    return commands::run(state, *command);
                }
            }
        }
        Target::Item(at) if matches!(state.dialog, Some(Dialog::Processes(_))) => {
            return process_picker::click(state, at);
        }
        Target::Others => {
            selection::select_others(state);
            process_picker::open(state);
        }
        Target::Item(at) if matches!(state.dialog, Some(Dialog::Row(_))) => {
            row_editing::choose_key(state, at);
        }
        Target::Item(at) if state.screen == Screen::Layouts => {
            return layout_commands::select_layout(state, at);
        }
        Target::Core(core) => {
            state.focus = Pane::Cores;
            selection::clear_picked(state);
            state.core = Some(core);
        }
        Target::Change(id) => journal::select(state, id),
        Target::Title(key) => row_order::sort_by_title(state, key),
        Target::ConnectionTitle(key) => state.connection_order.sort_by_title(key),
        _ => {}
    }
    Vec::new()
}
