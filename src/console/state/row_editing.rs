//! The keys of the row editor and of the field for the path of a model to add.

use crossterm::event::{KeyCode, KeyEvent};

use super::action::{Effect, ParsedInput, TypedInput};
use super::command::Command;
use super::console_state::ConsoleState;
use super::dialog::{ConfirmedAction, Dialog};
use super::row_editor::{InputPrompt, RowEditor};
use super::screen::{Column, Tone};
use super::staging;
use crate::layout::{Change, CoreOwner, Edit, short_name};

/// Opens the editor of the selected row at the key of the selected column.
pub(super) fn open_row(state: &mut ConsoleState) {
    let CoreOwner::Model(model) = state.selected.clone() else {
        return state.say(Tone::Info, state.no_row());
    };
    let key = match state.column {
        Column::Cores => "cores",
        Column::Instances => "concurrency",
        Column::Threads => "threads",
        Column::Queue => "queue",
        Column::Slo => "slo",
        Column::Gpu => "gpu",
    };
    let at = state.row_keys(&model).iter().position(|other| other.name == key).unwrap_or(0);
    state.dialog = Some(Dialog::Row(RowEditor { model, at, prompt: None }));
}

pub(super) fn ask_remove(state: &mut ConsoleState) {
    let CoreOwner::Model(model) = state.selected.clone() else {
        return state.say(Tone::Info, state.no_row());
    };
    let question = format!(
        "Remove {}? {} {} undoes it.",
        short_name(&model),
        if state.row(&model).is_some_and(|row| row.budget.runs_without_cores()) {
            "Its processes go on, as divvy found them. Those that divvy started end."
        } else {
            "Queued requests are still answered, its cores become free."
        },
        state.keymap.shown(Command::Undo)
    );
    state.dialog = Some(Dialog::Confirm { question, yes: ConfirmedAction::Remove(model) });
}

/// Opens the field of a clicked key.
pub(super) fn choose_key(state: &mut ConsoleState, at: usize) {
    if let Some(Dialog::Row(mut editor)) = state.dialog.take() {
        editor.at = at;
        open_key(state, &mut editor);
        state.dialog = Some(Dialog::Row(editor));
    }
}

fn open_key(state: &mut ConsoleState, editor: &mut RowEditor) {
    state.message = None;
    if let Some(reason) = state.lock() {
        return state.say(Tone::Bad, reason);
    }
    if let Some(key) = state.row_keys(&editor.model).get(editor.at) {
        let text = key.value.as_deref().unwrap_or_default();
        editor.prompt = Some(InputPrompt::new(text));
    }
}

pub(super) fn row_editor_key(
    state: &mut ConsoleState,
    mut editor: RowEditor,
    key: KeyEvent,
) -> Vec<Effect> {
    let keys = state.row_keys(&editor.model);
    let last = keys.len().saturating_sub(1);
    let mut effects = Vec::new();
    match (&mut editor.prompt, key.code) {
        (Some(_), KeyCode::Esc) => editor.prompt = None,
        (Some(prompt), _) => {
            let of = keys.get(editor.at).map(|key| (editor.model.as_str(), key.name));
            effects = prompt_key(state, prompt, key, of);
        }
        (None, KeyCode::Up | KeyCode::Char('k')) => editor.at = editor.at.saturating_sub(1),
        (None, KeyCode::Down | KeyCode::Char('j')) => editor.at = (editor.at + 1).min(last),
        (None, KeyCode::PageUp) => editor.at = editor.at.saturating_sub(10),
        (None, KeyCode::PageDown) => editor.at = (editor.at + 10).min(last),
        (None, KeyCode::Home | KeyCode::Char('g')) => editor.at = 0,
        (None, KeyCode::End | KeyCode::Char('G')) => editor.at = last,
        (None, KeyCode::Enter) => open_key(state, &mut editor),
        (None, KeyCode::Esc | KeyCode::Char('q')) => return effects,
        (None, _) => {}
    }
    state.dialog = Some(Dialog::Row(editor));
    effects
}

/// Handles a key in a text field whose text is parsed as it is typed. `of` is the model and the
/// row's key; `None` for the path of a model to add.
pub(super) fn prompt_key(
    state: &mut ConsoleState,
    prompt: &mut InputPrompt,
    key: KeyEvent,
    of: Option<(&str, &str)>,
) -> Vec<Effect> {
    let before = prompt.editor.text();
    if key.code == KeyCode::Enter {
        // ask again: the layout may have changed since the last answer
        prompt.entered = true;
    } else if !prompt.editor.key(key) {
        return Vec::new();
    }
    // Enter applies to the text at that moment only
    prompt.entered &= prompt.editor.text() == before;
    request_parse(state, prompt, of).into_iter().collect()
}

fn request_parse(
    state: &mut ConsoleState,
    prompt: &mut InputPrompt,
    of: Option<(&str, &str)>,
) -> Option<Effect> {
    let text = prompt.editor.text();
    let typed = if let Some((model, key)) = of {
        let row = Box::new(state.row(model)?.budget.clone());
        TypedInput::Key { row, key: key.to_owned(), text }
    } else {
        let staged = state.staged_plan.iter().flat_map(|plan| &plan.after.rows);
        let rows = state.snapshot.models.iter().map(|view| &view.row).chain(staged);
        TypedInput::Model { text, taken: rows.map(|row| row.budget.name.clone()).collect() }
    };
    // the last answer is shown until the new one arrives
    prompt.ticket = state.ticket();
    let before = state.on_top(&Change::default());
    Some(Effect::Read { ticket: prompt.ticket, typed, before })
}

/// Shows the parsed text or, if Enter was pressed, commits its change.
pub(super) fn parsed(
    state: &mut ConsoleState,
    ticket: u64,
    result: Result<Option<ParsedInput>, String>,
) -> Vec<Effect> {
    let Some(Dialog::Row(RowEditor { prompt: Some(prompt), .. }) | Dialog::Add(prompt)) =
        &mut state.dialog
    else {
        return Vec::new();
    };
    if prompt.ticket != ticket {
        return Vec::new();
    }
    let entered = std::mem::take(&mut prompt.entered);
    match result {
        Ok(parsed) if entered => {
            let renames = parsed.as_ref().is_some_and(|parsed| {
                parsed.change.edits.iter().any(|edit| matches!(edit, Edit::Rename { .. }))
            });
            match &mut state.dialog {
                // a renamed row is not known under its new name until a snapshot shows it
                Some(Dialog::Row(editor)) if !renames => editor.prompt = None,
                _ => state.dialog = None,
            }
            let Some(parsed) = parsed else {
                state.say(Tone::Info, "nothing was changed");
                return Vec::new();
            };
            state.arriving = parsed.change.edits.iter().find_map(|edit| match edit {
                Edit::Add { budget } => Some(budget.name.clone()),
                Edit::Rename { to, .. } => Some(to.clone()),
                _ => None,
            });
            staging::commit(state, parsed.change)
        }
        other => {
            prompt.answer = Some(other);
            Vec::new()
        }
    }
}

pub(super) fn paste_into_prompt(state: &mut ConsoleState, text: &str) -> Vec<Effect> {
    let Some(mut dialog) = state.dialog.take() else {
        return Vec::new();
    };
    let effect = match &mut dialog {
        Dialog::Add(prompt) => {
            prompt.paste(text);
            request_parse(state, prompt, None)
        }
        Dialog::Row(RowEditor { model, at, prompt: Some(prompt) }) => {
            prompt.paste(text);
            let name = state.row_keys(model).get(*at).map(|key| key.name);
            name.and_then(|name| request_parse(state, prompt, Some((model, name))))
        }
        _ => None,
    };
    state.dialog = Some(dialog);
    effect.into_iter().collect()
}
