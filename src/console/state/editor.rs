//! One line of text that is being typed.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The text and the place of the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Editor {
    before: String,
    after: String,
}

impl Editor {
    /// The longest text that is taken, in characters.
    pub const LIMIT: usize = 200;

    /// Starts with a text, the cursor at its end.
    pub fn new(text: &str) -> Self {
        Self { before: text.to_owned(), after: String::new() }
    }

    /// The whole text.
    pub fn text(&self) -> String {
        format!("{}{}", self.before, self.after)
    }

    /// The text left of the cursor.
    pub fn before(&self) -> &str {
        &self.before
    }

    /// The text from the cursor on.
    pub fn after(&self) -> &str {
        &self.after
    }

    /// Puts text in at the cursor: control characters are left out, and what is past the limit.
    pub fn insert(&mut self, text: &str) {
        let room = Self::LIMIT.saturating_sub(self.text().chars().count());
        self.before.extend(text.chars().filter(|letter| !letter.is_control()).take(room));
    }

    /// Edits by one key. Whether the key meant something.
    pub fn key(&mut self, event: KeyEvent) -> bool {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        match (event.code, control) {
            (KeyCode::Char('u'), true) => self.before.clear(),
            (KeyCode::Char('k'), true) => self.after.clear(),
            (KeyCode::Char('w'), true) => {
                let kept = self.before.trim_end().rfind(' ').map_or(0, |at| at + 1);
                self.before.truncate(kept);
            }
            (KeyCode::Home, _) | (KeyCode::Char('a'), true) => {
                self.after = self.text();
                self.before.clear();
            }
            (KeyCode::End, _) | (KeyCode::Char('e'), true) => {
                self.before = self.text();
                self.after.clear();
            }
            (KeyCode::Char(letter), false) => self.insert(letter.encode_utf8(&mut [0; 4])),
            (KeyCode::Backspace, _) => {
                self.before.pop();
            }
            (KeyCode::Delete, _) => {
                let mut letters = self.after.chars();
                letters.next();
                self.after = letters.as_str().to_owned();
            }
            (KeyCode::Left, _) => {
                if let Some(letter) = self.before.pop() {
                    self.after.insert(0, letter);
                }
            }
            (KeyCode::Right, _) => {
                let mut letters = self.after.chars();
                if let Some(letter) = letters.next() {
                    self.before.push(letter);
                    self.after = letters.as_str().to_owned();
                }
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(editor: &mut Editor, codes: &[KeyCode]) {
        for code in codes {
            editor.key(KeyEvent::new(*code, KeyModifiers::NONE));
        }
    }

    #[test]
    fn text_is_edited_at_the_cursor() {
        let mut editor = Editor::new("night");
        typed(&mut editor, &[KeyCode::Left, KeyCode::Left, KeyCode::Backspace, KeyCode::Char('é')]);
        assert_eq!((editor.before(), editor.after()), ("nié", "ht"));
        typed(&mut editor, &[KeyCode::Home, KeyCode::Delete, KeyCode::End, KeyCode::Char('!')]);
        assert_eq!(editor.text(), "iéht!");
        editor.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert_eq!(editor.text(), "");
    }

    #[test]
    fn a_paste_loses_its_control_characters_and_its_excess() {
        let mut editor = Editor::default();
        editor.insert("a\u{1b}[31m\nb");
        assert_eq!(editor.text(), "a[31mb");
        editor.insert(&"x".repeat(500));
        assert_eq!(editor.text().chars().count(), Editor::LIMIT);
    }
}
