//! The row editor, which shows a row's keys and edits one of them, and the field for the path of a
//! model to add. The worker parses the text while it is typed and returns its plan; Enter commits
//! it.

use crossterm::event::{KeyCode, KeyEvent};

use super::action::{Effect, ParsedInput, TypedInput};
use super::dialog::{ConfirmedAction, Dialog};
use super::editor::TextField;
use super::{Column, ConsoleState, Tone};
use crate::layout::{Change, CoreOwner, Edit, RowKey};

/// A text field with the plan of its text.
#[derive(Clone, Debug, PartialEq)]
pub struct InputPrompt {
    /// The text.
    pub editor: TextField,
    /// The parsed text; `None` until the worker answers, `Some(Ok(None))` if nothing would change.
    pub answer: Option<Result<Option<ParsedInput>, String>>,
    /// True if Enter was pressed and the answer is pending.
    entered: bool,
    ticket: u64,
}

/// The keys of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct RowEditor {
    /// The model.
    pub model: String,
    /// Index of the selected key.
    pub at: usize,
    /// The field for a new value; `None` while no key is edited.
    pub prompt: Option<InputPrompt>,
}

impl InputPrompt {
    /// Creates a field with a text that was not parsed yet.
    pub fn new(text: &str) -> Self {
        Self { editor: TextField::long(text), answer: None, entered: false, ticket: 0 }
    }

    fn paste(&mut self, text: &str) {
        self.editor.insert(text);
        self.entered = false;
    }
}

impl ConsoleState {
    /// Returns the keys of a model's row with the staged changes applied; empty if it was removed.
    pub fn row_keys(&self, model: &str) -> Vec<RowKey> {
        let keys = self.row(model).map(|row| row.budget.row_keys());
        // a path that is not UTF-8 (set through the API) cannot be written to a layout file
        keys.and_then(Result::ok).unwrap_or_default()
    }

    /// Opens the editor of the selected row at the key of the selected column.
    pub(super) fn open_row(&mut self) {
        let CoreOwner::Model(model) = self.selected.clone() else {
            return self.say(Tone::Info, "select a model first: the row of free cores has no keys");
        };
        let key = match self.column {
            Column::Cores => "cores",
            Column::Instances => "concurrency",
            Column::Threads => "threads",
            Column::Queue => "queue",
            Column::Slo => "slo",
            Column::Gpu => "gpu",
        };
        let at = self.row_keys(&model).iter().position(|other| other.name == key).unwrap_or(0);
        self.dialog = Some(Dialog::Row(RowEditor { model, at, prompt: None }));
    }

    pub(super) fn ask_remove(&mut self) {
        let CoreOwner::Model(model) = self.selected.clone() else {
            return self.say(Tone::Info, "select a model first");
        };
        let question = format!(
            "Remove {model}? Queued requests are still answered, its cores become free. {} undoes it.",
            self.keymap.shown(super::Command::Undo)
        );
        self.dialog = Some(Dialog::Confirm { question, yes: ConfirmedAction::Remove(model) });
    }

    /// Opens the field of a clicked key.
    pub(super) fn choose_key(&mut self, at: usize) {
        if let Some(Dialog::Row(mut editor)) = self.dialog.take() {
            editor.at = at;
            self.open_key(&mut editor);
            self.dialog = Some(Dialog::Row(editor));
        }
    }

    fn open_key(&mut self, editor: &mut RowEditor) {
        self.message = None;
        if self.readonly {
            return self.say(Tone::Bad, "read-only: nothing can be changed here");
        }
        if let Some(key) = self.row_keys(&editor.model).get(editor.at) {
            let text = key.value.as_deref().unwrap_or_default();
            editor.prompt = Some(InputPrompt::new(text));
        }
    }

    pub(super) fn row_editor_key(&mut self, mut editor: RowEditor, key: KeyEvent) -> Vec<Effect> {
        let keys = self.row_keys(&editor.model);
        let last = keys.len().saturating_sub(1);
        let mut effects = Vec::new();
        match (&mut editor.prompt, key.code) {
            (Some(_), KeyCode::Esc) => editor.prompt = None,
            (Some(prompt), _) => {
                let of = keys.get(editor.at).map(|key| (editor.model.as_str(), key.name));
                effects = self.prompt_key(prompt, key, of);
            }
            (None, KeyCode::Up | KeyCode::Char('k')) => editor.at = editor.at.saturating_sub(1),
            (None, KeyCode::Down | KeyCode::Char('j')) => editor.at = (editor.at + 1).min(last),
            (None, KeyCode::PageUp) => editor.at = editor.at.saturating_sub(10),
            (None, KeyCode::PageDown) => editor.at = (editor.at + 10).min(last),
            (None, KeyCode::Home | KeyCode::Char('g')) => editor.at = 0,
            (None, KeyCode::End | KeyCode::Char('G')) => editor.at = last,
            (None, KeyCode::Enter) => self.open_key(&mut editor),
            (None, KeyCode::Esc | KeyCode::Char('q')) => return effects,
            (None, _) => {}
        }
        self.dialog = Some(Dialog::Row(editor));
        effects
    }

    /// Handles a key in a text field whose text is parsed as it is typed. `of` is the model and the
    /// row's key; `None` for the path of a model to add.
    pub(super) fn prompt_key(
        &mut self,
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
        self.ask_meaning(prompt, of).into_iter().collect()
    }

    fn ask_meaning(
        &mut self,
        prompt: &mut InputPrompt,
        of: Option<(&str, &str)>,
    ) -> Option<Effect> {
        let text = prompt.editor.text();
        let typed = if let Some((model, key)) = of {
            let row = Box::new(self.row(model)?.budget.clone());
            TypedInput::Key { row, key: key.to_owned(), text }
        } else {
            let staged = self.staged_plan.iter().flat_map(|plan| &plan.after.rows);
            let rows = self.snapshot.models.iter().map(|view| &view.row).chain(staged);
            TypedInput::Model { text, taken: rows.map(|row| row.budget.name.clone()).collect() }
        };
        // the last answer is shown until the new one arrives
        prompt.ticket = self.ticket();
        let before = self.on_top(&Change::default());
        Some(Effect::Read { ticket: prompt.ticket, typed, before })
    }

    /// Shows the parsed text or, if Enter was pressed, commits its change.
    pub(super) fn read(
        &mut self,
        ticket: u64,
        result: Result<Option<ParsedInput>, String>,
    ) -> Vec<Effect> {
        let Some(Dialog::Row(RowEditor { prompt: Some(prompt), .. }) | Dialog::Add(prompt)) =
            &mut self.dialog
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
                match &mut self.dialog {
                    // a renamed row is not known under its new name until a snapshot shows it
                    Some(Dialog::Row(editor)) if !renames => editor.prompt = None,
                    _ => self.dialog = None,
                }
                let Some(parsed) = parsed else {
                    self.say(Tone::Info, "nothing was changed");
                    return Vec::new();
                };
                self.arriving = parsed.change.edits.iter().find_map(|edit| match edit {
                    Edit::Add { budget } => Some(budget.name.clone()),
                    Edit::Rename { to, .. } => Some(to.clone()),
                    _ => None,
                });
                self.commit(parsed.change)
            }
            other => {
                prompt.answer = Some(other);
                Vec::new()
            }
        }
    }

    /// Selects an added model as soon as a snapshot shows it.
    pub(super) fn select_arrived(&mut self) {
        if let Some(name) = &self.arriving
            && self.snapshot.model(name).is_some()
        {
            self.selected = CoreOwner::Model(name.clone());
            self.arriving = None;
        }
    }

    pub(super) fn paste_into_prompt(&mut self, text: &str) -> Vec<Effect> {
        let Some(mut dialog) = self.dialog.take() else {
            return Vec::new();
        };
        let effect = match &mut dialog {
            Dialog::Add(prompt) => {
                prompt.paste(text);
                self.ask_meaning(prompt, None)
            }
            Dialog::Row(RowEditor { model, at, prompt: Some(prompt) }) => {
                prompt.paste(text);
                let name = self.row_keys(model).get(*at).map(|key| key.name);
                name.and_then(|name| self.ask_meaning(prompt, Some((model, name))))
            }
            _ => None,
        };
        self.dialog = Some(dialog);
        effect.into_iter().collect()
    }
}
