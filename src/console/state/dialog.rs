//! Dialogs, which cover the screen and receive the keys: help, palette, text fields, questions.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::action::Effect;
use super::command::Command;
use super::editor::TextField;
use super::row_editor::{InputPrompt, RowEditor};
use super::{ConsoleState, Tone};
use crate::layout::Edit;

/// An open dialog.
#[derive(Clone, Debug, PartialEq)]
pub enum Dialog {
    /// All keys and gestures.
    Help {
        /// First line shown.
        scroll: usize,
    },
    /// Commands by name.
    Palette {
        /// The typed text.
        editor: TextField,
        /// The index of the selected match.
        at: usize,
    },
    /// The filter of the table. It applies while the user types.
    Filter {
        /// The typed text.
        editor: TextField,
    },
    /// A name for the live layout.
    SaveAs {
        /// The typed text.
        editor: TextField,
    },
    /// The keys of a row.
    Row(RowEditor),
    /// The path of a model to add.
    Add(InputPrompt),
    /// A new name for a saved layout.
    Rename {
        /// Its old name.
        from: String,
        /// The typed text.
        editor: TextField,
    },
    /// A question with yes and no.
    Confirm {
        /// The question.
        question: String,
        /// The effect of the answer yes.
        yes: ConfirmedAction,
    },
    /// The question before quitting with unsaved or unapplied changes: see
    /// [`ConsoleState::ways_out`].
    Quit,
}

/// The effect of the answer yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfirmedAction {
    /// Deletes a saved layout.
    Delete(String),
    /// Overwrites another layout.
    Overwrite(String),
    /// Restores the last saved state.
    Restore,
    /// Removes a model.
    Remove(String),
}

/// Returns the commands whose name or help contains every typed word.
pub fn matching(typed: &str) -> Vec<Command> {
    let typed = typed.to_lowercase();
    let fits = |command: &&Command| {
        typed.split_whitespace().all(|word| {
            command.name().contains(word) || command.help().to_lowercase().contains(word)
        })
    };
    let mut found: Vec<Command> = Command::ALL.iter().filter(fits).copied().collect();
    // matches of names come first, otherwise the order of the help page
    found.sort_by_key(|command| !command.name().starts_with(typed.trim()));
    found
}

/// Returns the reason why a text cannot be the name of a layout.
fn bad_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("type a name first")
    } else if name.starts_with('.') || name.contains(['/', '\\']) {
        Some("a layout's name cannot start with a dot or contain a slash")
    } else if name.len() > 100 {
        Some("a layout's name has at most 100 bytes")
    } else {
        None
    }
}

/// The answer that cancels quitting.
const STAY: (&str, &str, &str) = ("n", "stay", "stay");

impl ConsoleState {
    /// Returns the answers of the question before quitting: key, description, and a single word for
    /// it.
    pub fn ways_out(&self) -> [(&'static str, &'static str, &'static str); 3] {
        if self.staged.is_empty() {
            [("s", "save and leave", "save, leave"), ("q", "leave without saving", "leave"), STAY]
        } else {
            [("enter", "apply", "apply"), ("q", "leave without applying", "leave"), STAY]
        }
    }

    /// Handles a key while a dialog is open.
    pub(super) fn dialog_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let effects = self.answer(key);
        // cancel the quit after saving
        self.leaving &= self.dialog.is_some()
            || effects.iter().any(|effect| matches!(effect, Effect::SaveProfile(_)));
        effects
    }

    fn answer(&mut self, key: KeyEvent) -> Vec<Effect> {
        let Some(mut dialog) = self.dialog.take() else {
            return Vec::new();
        };
        if let Dialog::Row(editor) = dialog {
            return self.row_editor_key(editor, key);
        }
        if key.code == KeyCode::Esc {
            if matches!(dialog, Dialog::Filter { .. }) {
                self.filter.clear();
            }
            return Vec::new();
        }
        let enter = key.code == KeyCode::Enter;
        match &mut dialog {
            Dialog::Help { scroll } => {
                match key.code {
                    KeyCode::Down | KeyCode::Char('j') => *scroll += 1,
                    KeyCode::Up | KeyCode::Char('k') => *scroll = scroll.saturating_sub(1),
                    KeyCode::PageDown | KeyCode::Char(' ') => *scroll += 10,
                    KeyCode::PageUp => *scroll = scroll.saturating_sub(10),
                    KeyCode::Home | KeyCode::Char('g') => *scroll = 0,
                    _ => return Vec::new(),
                }
                self.dialog = Some(dialog);
                Vec::new()
            }
            Dialog::Palette { editor, at } => {
                let found = matching(&editor.text());
                match key.code {
                    KeyCode::Enter => {
                        return match found.get(*at).copied() {
                            Some(command) => self.command(command),
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
                self.dialog = Some(dialog);
                Vec::new()
            }
            Dialog::Filter { editor } => {
                editor.key(key);
                self.filter = editor.text();
                self.keep_selection();
                if !enter {
                    self.dialog = Some(dialog);
                }
                Vec::new()
            }
            Dialog::Add(prompt) => {
                let effects = self.prompt_key(prompt, key, None);
                self.dialog = Some(dialog);
                effects
            }
            // handled above
            Dialog::Row(_) => Vec::new(),
            Dialog::SaveAs { editor } if enter => {
                let name = editor.text().trim().to_owned();
                if let Some(reason) = bad_name(&name) {
                    self.say(Tone::Bad, reason);
                    self.dialog = Some(dialog);
                    return Vec::new();
                }
                if self.profile.as_ref() != Some(&name) && self.layouts.has(&name) {
                    let question = format!("{name} exists. Write over it?");
                    self.dialog =
                        Some(Dialog::Confirm { question, yes: ConfirmedAction::Overwrite(name) });
                    return Vec::new();
                }
                vec![Effect::SaveProfile(name)]
            }
            Dialog::Rename { from, editor } if enter => {
                let to = editor.text().trim().to_owned();
                if let Some(reason) = bad_name(&to) {
                    self.say(Tone::Bad, reason);
                    self.dialog = Some(dialog);
                    return Vec::new();
                }
                if *from == to {
                    return Vec::new();
                }
                vec![Effect::RenameProfile { from: from.clone(), to }]
            }
            Dialog::SaveAs { editor } | Dialog::Rename { editor, .. } => {
                editor.key(key);
                self.dialog = Some(dialog);
                Vec::new()
            }
            Dialog::Confirm { yes, .. } => match key.code {
                KeyCode::Char('y') | KeyCode::Enter => self.confirmed(yes.clone()),
                KeyCode::Char('n') => Vec::new(),
                _ => {
                    self.dialog = Some(dialog);
                    Vec::new()
                }
            },
            Dialog::Quit => match key.code {
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                    vec![Effect::Quit]
                }
                KeyCode::Char('q' | 'y') => vec![Effect::Quit],
                KeyCode::Char('s') if self.staged.is_empty() => {
                    self.leaving = true;
                    self.command(Command::Save)
                }
                KeyCode::Enter if !self.staged.is_empty() => self.apply_staged(),
                KeyCode::Char('n') => Vec::new(),
                _ => {
                    self.dialog = Some(dialog);
                    Vec::new()
                }
            },
        }
    }

    /// Inserts pasted text into the open text field.
    pub(super) fn paste(&mut self, text: &str) -> Vec<Effect> {
        match &mut self.dialog {
            Some(Dialog::Add(_) | Dialog::Row(_)) => return self.paste_into_prompt(text),
            Some(
                Dialog::Palette { editor, .. }
                | Dialog::SaveAs { editor }
                | Dialog::Rename { editor, .. },
            ) => editor.insert(text),
            Some(Dialog::Filter { editor }) => {
                editor.insert(text);
                self.filter = editor.text();
                self.keep_selection();
            }
            _ => {}
        }
        Vec::new()
    }

    fn confirmed(&mut self, yes: ConfirmedAction) -> Vec<Effect> {
        match yes {
            ConfirmedAction::Delete(name) => vec![Effect::DeleteProfile(name)],
            ConfirmedAction::Overwrite(name) => vec![Effect::SaveProfile(name)],
            ConfirmedAction::Restore => self.restore_saved(),
            ConfirmedAction::Remove(model) => self.commit(Edit::Remove { model }.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn palette_lists_name_matches_first() {
        assert_eq!(matching("und").first(), Some(&Command::Undo));
        assert_eq!(matching("newest change"), [Command::Undo]);
        assert_eq!(matching("").len(), Command::ALL.len());
        assert!(matching("xyzzy").is_empty());
    }

    #[test]
    fn names_of_layouts_stay_inside_their_folder() {
        for name in ["", "../../etc/passwd", ".hidden", "a\\b"] {
            assert!(bad_name(name).is_some(), "{name}");
        }
        assert_eq!(bad_name("night shift"), None);
    }
}
