//! The keys of open dialogs.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::action::{AppliedKind, Effect, GuardedChange};
use super::command::Command;
use super::console_state::ConsoleState;
use super::dialog::{ConfirmedAction, Dialog};
use super::editor::TextField;
use super::offers::matching;
use super::save::{ComparisonDialog, SaveTarget};
use super::screen::Tone;
use super::{commands, layout_commands, process_picker, row_editing, selection, staging, steps};
use crate::layout::Edit;

/// Handles a key while a dialog is open.
pub(super) fn press(state: &mut ConsoleState, key: KeyEvent) -> Vec<Effect> {
    let effects = answer(state, key);
    // cancel the quit after saving or applying
    let leads_out = |effect: &Effect| {
        matches!(
            effect,
            Effect::SaveProfile { .. }
                | Effect::StopRun
                | Effect::Apply { kind: AppliedKind::Staged, .. }
                | Effect::ApplyAnyway(GuardedChange::Change { kind: AppliedKind::Staged, .. })
        )
    };
    state.leaving &= state.dialog.is_some() || effects.iter().any(leads_out);
    if state.dialog.is_none() {
        state.dialog = state.covered.take();
    }
    effects
}

fn answer(state: &mut ConsoleState, mut key: KeyEvent) -> Vec<Effect> {
    let Some(mut dialog) = state.dialog.take() else {
        return Vec::new();
    };
    let is_question =
        matches!(dialog, Dialog::Confirm { .. } | Dialog::Comparison(_) | Dialog::Quit);
    let interrupts =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    if interrupts && !is_question {
        key = KeyCode::Esc.into();
    }
    if let Dialog::Row(editor) = dialog {
        return row_editing::row_editor_key(state, editor, key);
    }
    if key.code == KeyCode::Esc {
        if matches!(dialog, Dialog::Filter { .. }) {
            state.filter.clear();
        }
        return Vec::new();
    }
    // the answers of a question are plain keys: ctrl-d is not `d`
    if is_question && key.modifiers.intersects(!KeyModifiers::SHIFT) {
        state.dialog = Some(dialog);
        return Vec::new();
    }
    let enter = key.code == KeyCode::Enter;
    if let Dialog::Processes(picker) = dialog {
        return process_picker::press(state, picker, key);
    }
    match &mut dialog {
        Dialog::Help { scroll } => {
            if scroll_by_key(scroll, key.code, state.scroll_limits.dialog) {
                state.dialog = Some(dialog);
            }
            Vec::new()
        }
        Dialog::Palette { editor, at } => {
            let found = matching(state, &editor.text());
            match key.code {
                KeyCode::Enter => {
                    return match found.get(*at).copied() {
                        Some(command) => commands::run(state, command),
                        None => Vec::new(),
                    };
                }
                KeyCode::Up => *at = at.saturating_sub(1),
                KeyCode::PageUp => *at = at.saturating_sub(10),
                KeyCode::PageDown => *at = (*at + 10).min(found.len().saturating_sub(1)),
                KeyCode::Down => *at = (*at + 1).min(found.len().saturating_sub(1)),
                _ => {
                    editor.key(key);
                    *at = 0;
                }
            }
            state.dialog = Some(dialog);
            Vec::new()
        }
        Dialog::Filter { editor } => {
            editor.key(key);
            state.filter = editor.text();
            selection::keep_selection(state);
            if !enter {
                state.dialog = Some(dialog);
            }
            Vec::new()
        }
        Dialog::Add(prompt) if key.code == KeyCode::Tab => {
            process_picker::open_beside(state, prompt.clone());
            Vec::new()
        }
        Dialog::Add(prompt) => {
            let effects = row_editing::prompt_key(state, prompt, key, None);
            state.dialog = Some(dialog);
            effects
        }
        // handled above
        Dialog::Row(_) | Dialog::Processes(_) => Vec::new(),
        Dialog::SaveAs { editor, .. } if enter => {
            let name = editor.text().trim().to_owned();
            let result = match bad_name(&name) {
                Some(reason) => Err(reason.to_owned()),
                None => layout_commands::save_as(state, name),
            };
            result.unwrap_or_else(|reason| {
                state.say(Tone::Bad, reason);
                state.dialog = Some(dialog);
                Vec::new()
            })
        }
        Dialog::Report { scroll, .. } => {
            scroll_by_key(scroll, key.code, state.scroll_limits.dialog);
            state.dialog = Some(dialog);
            Vec::new()
        }
        Dialog::Comparison(comparison) => comparison_key(state, comparison.clone(), key),
        Dialog::Rename { from, editor } if enter => {
            let to = editor.text().trim().to_owned();
            if let Some(reason) = bad_name(&to) {
                state.say(Tone::Bad, reason);
                state.dialog = Some(dialog);
                return Vec::new();
            }
            if *from == to {
                return Vec::new();
            }
            vec![Effect::RenameProfile { from: from.clone(), to }]
        }
        Dialog::SaveAs { editor, .. } | Dialog::Rename { editor, .. } => {
            editor.key(key);
            state.dialog = Some(dialog);
            Vec::new()
        }
        Dialog::Confirm { yes, .. } => match key.code {
            KeyCode::Char('y') => confirmed(state, yes.clone()),
            KeyCode::Char('n') => Vec::new(),
            _ => {
                state.dialog = Some(dialog);
                Vec::new()
            }
        },
        Dialog::Quit => match key.code {
            KeyCode::Char('d') => vec![Effect::Quit],
            KeyCode::Char('s') if state.staged.is_empty() => {
                state.leaving = true;
                if state.run_to_leave().is_some() {
                    return vec![Effect::StopRun];
                }
                commands::run(state, Command::Save)
            }
            KeyCode::Enter if !state.staged.is_empty() => {
                state.leaving = true;
                staging::apply_staged(state)
            }
            KeyCode::Char('n') => Vec::new(),
            _ => {
                state.dialog = Some(dialog);
                Vec::new()
            }
        },
    }
}

/// Inserts pasted text into the open text field.
pub(super) fn paste(state: &mut ConsoleState, text: &str) -> Vec<Effect> {
    match &mut state.dialog {
        Some(Dialog::Add(_) | Dialog::Row(_)) => {
            return row_editing::paste_into_prompt(state, text);
        }
        Some(
            Dialog::Palette { editor, .. }
            | Dialog::SaveAs { editor, .. }
            | Dialog::Rename { editor, .. },
        ) => editor.paste(text),
        Some(Dialog::Processes(picker)) => picker.filter.paste(text),
        Some(Dialog::Filter { editor }) => {
            editor.paste(text);
            state.filter = editor.text();
            selection::keep_selection(state);
        }
        _ => {}
    }
    Vec::new()
}

fn confirmed(state: &mut ConsoleState, yes: ConfirmedAction) -> Vec<Effect> {
    match yes {
        ConfirmedAction::Delete(name) => vec![Effect::DeleteProfile(name)],
        ConfirmedAction::Overwrite(name) => {
            vec![Effect::SaveProfile { name, target: SaveTarget::Any }]
        }
        ConfirmedAction::Restore => layout_commands::restore_saved(state),
        ConfirmedAction::Apply(change) => vec![Effect::ApplyAnyway(change)],
        ConfirmedAction::Remove(model) => staging::commit(state, Edit::Remove { model }.into()),
        ConfirmedAction::Step { model, column, by } => steps::step_now(state, &model, column, by),
        ConfirmedAction::DiscardStaged => {
            staging::discard(state);
            Vec::new()
        }
        ConfirmedAction::StopRun => vec![Effect::StopRun],
    }
}

/// Handles a key of the question about a file that changed since it was loaded.
fn comparison_key(
    state: &mut ConsoleState,
    mut dialog: ComparisonDialog,
    key: KeyEvent,
) -> Vec<Effect> {
    let name = dialog.name.clone();
    let revision = dialog.comparison.revision.clone();
    match key.code {
        KeyCode::Char('m') if dialog.comparison.conflicts.is_empty() => {
            return vec![Effect::SaveProfile { name, target: SaveTarget::Merged(revision) }];
        }
        KeyCode::Char('w') => {
            return vec![Effect::SaveProfile { name, target: SaveTarget::Compared(revision) }];
        }
        KeyCode::Char('a') => return layout_commands::ask_other_name(state),
        _ => {
            scroll_by_key(&mut dialog.scroll, key.code, state.scroll_limits.dialog);
            state.dialog = Some(Dialog::Comparison(dialog));
        }
    }
    Vec::new()
}

/// Scrolls the lines of a dialog. Returns false for a key that does not scroll.
fn scroll_by_key(scroll: &mut usize, key: KeyCode, most: usize) -> bool {
    // the text may have become shorter since
    let at = (*scroll).min(most);
    *scroll = match key {
        KeyCode::Down | KeyCode::Char('j') => at + 1,
        KeyCode::Up | KeyCode::Char('k') => at.saturating_sub(1),
        KeyCode::PageDown | KeyCode::Char(' ') => at + 10,
        KeyCode::PageUp => at.saturating_sub(10),
        KeyCode::Home | KeyCode::Char('g') => 0,
        KeyCode::End | KeyCode::Char('G') => most,
        _ => return false,
    }
    .min(most);
    true
}

/// Returns the reason why a text cannot be the name of a layout.
fn bad_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("type a name first")
    } else if name.starts_with('.') || name.contains(['/', '\\']) {
        Some("a layout's name cannot start with a dot or contain a slash")
    } else if name.len() > TextField::NAME {
        Some("a layout's name has at most 100 bytes")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_layouts_stay_inside_their_folder() {
        for name in ["", "../../etc/passwd", ".hidden", "a\\b"] {
            assert!(bad_name(name).is_some(), "{name}");
        }
        assert_eq!(bad_name("night shift"), None);
    }
}
