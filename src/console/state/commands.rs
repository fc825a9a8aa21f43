//! Runs commands, from keys, the palette and clicks.

use super::action::Effect;
use super::command::Command;
use super::console_state::ConsoleState;
use super::dialog::{ConfirmedAction, Dialog};
use super::editor::TextField;
use super::hits::ScrollArea;
use super::row_editor::InputPrompt;
use super::screen::{Mode, Pane, Screen, Tone};
use super::{
    gestures, journal, layout_commands, navigation, process_picker, row_editing, row_order,
    selection, staging, steps,
};
use crate::console::theme::Theme;
use crate::layout::CoreOwner;

/// Lines that a key scrolls the preview of a saved layout by.
const PREVIEW_STEP: i32 = 5;

pub(super) fn run(state: &mut ConsoleState, command: Command) -> Vec<Effect> {
    if state.readonly && command.changes() {
        state.say(Tone::Bad, format!("read-only: {} is off", command.name()));
        return Vec::new();
    }
    if command.changes()
        && let Some(reason) = state.lock()
    {
        state.say(Tone::Bad, reason);
        return Vec::new();
    }
    if !matches!(command, Command::Redraw | Command::Suspend) && state.drag.is_none() {
        state.message = None;
    }
    match command {
        Command::Up => return navigation::move_by(state, -1),
        Command::Down => return navigation::move_by(state, 1),
        Command::Left => navigation::sideways(state, -1),
        Command::Right => navigation::sideways(state, 1),
        Command::PageUp => return navigation::move_by(state, -10),
        Command::PageDown => return navigation::move_by(state, 10),
        Command::PreviewUp => navigation::scroll_lines(state, ScrollArea::Preview, -PREVIEW_STEP),
        Command::PreviewDown => navigation::scroll_lines(state, ScrollArea::Preview, PREVIEW_STEP),
        Command::First => return navigation::move_by(state, i32::MIN),
        Command::Last => return navigation::move_by(state, i32::MAX),
        Command::NextPane => navigation::next_pane(state),
        Command::Lift => return gestures::lift(state),
        Command::Accept => return accept(state),
        Command::Cancel => cancel(state),
        Command::More => return step_selected(state, 1),
        Command::Less => return step_selected(state, -1),
        Command::Share => return gestures::toggle_share(state),
        Command::Undo => return staging::undo(state),
        Command::Redo => return staging::redo(state),
        Command::UndoSelected => return journal::undo_selected(state),
        Command::ExtendLeft => selection::extend(state, -1),
        Command::ExtendRight => selection::extend(state, 1),
        Command::Sort if state.screen == Screen::Connections => {
            state.connection_order.sort_by_next();
        }
        Command::Sort => row_order::sort_by_next(state),
        Command::Staged => toggle_staged(state),
        Command::Pause => return steps::pause(state),
        Command::Edit => row_editing::open_row(state),
        Command::Add => state.dialog = Some(Dialog::Add(InputPrompt::new(""))),
        Command::Processes => process_picker::open(state),
        Command::Remove => row_editing::ask_remove(state),
        Command::Reserve => return steps::reserve(state),
        Command::Save => return layout_commands::save(state),
        Command::SaveAs => return layout_commands::ask_save_as(state),
        Command::Restore => layout_commands::ask_restore(state),
        Command::Layouts => {
            show(state, Screen::Layouts);
            return vec![Effect::ListProfiles];
        }
        Command::Rename if state.screen == Screen::Layouts => layout_commands::ask_rename(state),
        Command::Delete if state.screen == Screen::Layouts => layout_commands::ask_delete(state),
        Command::Rename | Command::Delete => {
            let key = state.keymap.shown(Command::Layouts);
            state.say(
                Tone::Info,
                format!(
                    "{} works on the layouts screen ({key}); {} removes a row",
                    command.name(),
                    state.keymap.shown(Command::Remove)
                ),
            );
        }
        Command::Detail => show(state, Screen::Detail),
        Command::Machine => show(state, Screen::Machine),
        Command::Memory => show(state, Screen::Memory),
        Command::Connections => show(state, Screen::Connections),
        Command::Journal => {
            show(state, Screen::Journal);
            return journal::open(state);
        }
        Command::Log => {
            show(state, Screen::Log);
            return state.follow_log();
        }
        Command::Alerts => show(state, Screen::Alerts),
        Command::Board => show(state, Screen::Board),
        Command::Expand => state.expanded = !state.expanded,
        Command::Filter => {
            state.dialog = Some(Dialog::Filter { editor: TextField::selected(&state.filter) });
        }
        Command::Palette => {
            state.dialog = Some(Dialog::Palette { editor: TextField::default(), at: 0 });
        }
        Command::Help => state.dialog = Some(Dialog::Help { scroll: 0 }),
        Command::Theme => {
            state.theme = Theme::new(state.theme.name.next());
            state.say(Tone::Info, format!("theme {}", state.theme.name));
        }
        Command::Mouse => {
            gestures::cancel_drag(state, "the mouse was switched");
            state.mouse = !state.mouse;
            let word = if state.mouse { "on" } else { "off: the terminal selects text" };
            state.say(Tone::Info, format!("mouse {word}"));
            return vec![Effect::Mouse];
        }
        Command::Record => match state.selected_model() {
            Some(model) => return vec![Effect::Record(model.row.budget.name.clone())],
            None => state
                .say(Tone::Info, "select the model whose requests are to be recorded".to_owned()),
        },
        Command::Picture => return vec![Effect::Picture],
        Command::Redraw => return vec![Effect::Redraw],
        Command::Suspend => {
            gestures::cancel_drag(state, "the program was suspended");
            return vec![Effect::Suspend];
        }
        Command::EndRun => {
            let Some(attached) = &state.attached else { return run(state, Command::Quit) };
            let question = format!("End {}? Its models stop after their requests.", attached.name);
            state.dialog = Some(Dialog::Confirm { question, yes: ConfirmedAction::StopRun });
        }
        Command::Quit => {
            gestures::cancel_drag(state, "leaving");
            // the run of an attached console keeps its layout
            let modified = state.attached.is_none() && state.modified();
            let unsaved = !state.readonly && (modified || !state.staged.is_empty());
            if unsaved || state.run_to_leave().is_some() {
                state.dialog = Some(Dialog::Quit);
            } else {
                return vec![Effect::Quit];
            }
        }
    }
    Vec::new()
}

fn accept(state: &mut ConsoleState) -> Vec<Effect> {
    if state.drag.is_some() {
        return gestures::drop_item(state, None);
    }
    if state.screen == Screen::Layouts {
        return layout_commands::apply_layout(state);
    }
    if !state.staged.is_empty() {
        return staging::apply_staged(state);
    }
    if state.screen == Screen::Board && state.on_others {
        process_picker::open(state);
    } else if state.screen == Screen::Board && matches!(state.selected, CoreOwner::Model(_)) {
        show(state, Screen::Detail);
    }
    Vec::new()
}

fn cancel(state: &mut ConsoleState) {
    if state.drag.is_some() {
        gestures::cancel_drag(state, "cancelled");
    } else if !state.staged.is_empty() {
        staging::cancel_staged(state);
    } else if !state.picked.is_empty() {
        selection::clear_picked(state);
    } else if state.expanded {
        state.expanded = false;
    } else if state.screen != Screen::Board {
        show(state, Screen::Board);
    } else if state.filter.is_empty() {
        state.focus = Pane::Models;
    } else {
        state.filter.clear();
    }
}

fn step_selected(state: &mut ConsoleState, by: i32) -> Vec<Effect> {
    if state.drag.is_some() {
        return gestures::change_amount(state, by);
    }
    match state.selected.clone() {
        CoreOwner::Model(name) => steps::step(state, &name, state.column, by),
        CoreOwner::Free => {
            state.say(Tone::Info, state.no_row());
            Vec::new()
        }
    }
}

fn show(state: &mut ConsoleState, screen: Screen) {
    gestures::cancel_drag(state, "another screen was opened");
    state.screen = screen;
    state.scroll = 0;
    state.expanded = false;
}

fn toggle_staged(state: &mut ConsoleState) {
    state.mode = match state.mode {
        Mode::Live => Mode::Staged,
        Mode::Staged if state.staged.is_empty() => {
            // undo and redo now act on the applied changes
            state.staged.clear();
            Mode::Live
        }
        Mode::Staged => {
            let (apply, drop) =
                (state.keymap.shown(Command::Accept), state.keymap.shown(Command::Cancel));
            return state.say(
                Tone::Bad,
                format!("there are staged changes: {apply} applies them, {drop} discards them"),
            );
        }
    };
    let text = match state.mode {
        Mode::Live => "live mode: changes are applied at once",
        Mode::Staged => "staged mode: changes wait until they are applied",
    };
    state.say(Tone::Info, text);
}
