//! A text editor of one line.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The text and the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextField {
    before: String,
    after: String,
    /// Maximum length of the text in characters.
    limit: usize,
    /// Characters of the last insertion that did not fit.
    left_out: usize,
}

impl Default for TextField {
    fn default() -> Self {
        Self::new("")
    }
}

impl TextField {
    /// Maximum length of a name or search in characters.
    pub const LIMIT: usize = 200;

    /// Maximum length of a path or value in characters, the maximum of a path on Linux.
    pub const LONG: usize = 4096;

    /// Creates an editor of a short text, such as a name, with the cursor at its end.
    pub fn new(text: &str) -> Self {
        Self { before: text.to_owned(), after: String::new(), limit: Self::LIMIT, left_out: 0 }
    }

    /// Creates an editor of a possibly long text, such as a path or a table.
    pub fn long(text: &str) -> Self {
        Self { limit: Self::LONG, ..Self::new(text) }
    }

    /// Returns a message if part of the last insertion did not fit.
    pub fn excess(&self) -> Option<String> {
        let (count, limit) = (self.left_out, self.limit);
        let left = match count {
            0 => return None,
            1 => "1 character was".to_owned(),
            _ => format!("{count} characters were"),
        };
        Some(format!("{left} left out: there is room for {limit}"))
    }

    /// Returns the whole text.
    pub fn text(&self) -> String {
        format!("{}{}", self.before, self.after)
    }

    /// Returns the text left of the cursor.
    pub fn before(&self) -> &str {
        &self.before
    }

    /// Returns the text from the cursor on.
    pub fn after(&self) -> &str {
        &self.after
    }

    /// Inserts text at the cursor without control characters. Drops text beyond the maximum length;
    /// [`Self::excess`] reports it.
    pub fn insert(&mut self, text: &str) {
        let used = self.before.chars().count() + self.after.chars().count();
        let room = self.limit.saturating_sub(used);
        let mut letters = text.chars().filter(|letter| !letter.is_control());
        self.before.extend(letters.by_ref().take(room));
        self.left_out = letters.count();
    }

    /// Handles a key. Returns true if the key has a function.
    pub fn key(&mut self, event: KeyEvent) -> bool {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let left_out = std::mem::take(&mut self.left_out);
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
            _ => {
                self.left_out = left_out;
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(editor: &mut TextField, codes: &[KeyCode]) {
        for code in codes {
            editor.key(KeyEvent::new(*code, KeyModifiers::NONE));
        }
    }

    #[test]
    fn edits_text_at_the_cursor() {
        let mut editor = TextField::new("night");
        typed(&mut editor, &[KeyCode::Left, KeyCode::Left, KeyCode::Backspace, KeyCode::Char('é')]);
        assert_eq!((editor.before(), editor.after()), ("nié", "ht"));
        typed(&mut editor, &[KeyCode::Home, KeyCode::Delete, KeyCode::End, KeyCode::Char('!')]);
        assert_eq!(editor.text(), "iéht!");
        editor.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert_eq!(editor.text(), "");
    }

    #[test]
    fn paste_is_cleaned_to_fit_the_field() {
        let mut editor = TextField::default();
        editor.insert("a\u{1b}[31m\nb");
        assert_eq!(editor.text(), "a[31mb");
        assert_eq!(editor.excess(), None);
        editor.insert(&"x".repeat(500));
        assert_eq!(editor.text().chars().count(), TextField::LIMIT);
        assert_eq!(editor.excess().unwrap(), "306 characters were left out: there is room for 200");
        typed(&mut editor, &[KeyCode::Char('y')]);
        assert_eq!(editor.excess().unwrap(), "1 character was left out: there is room for 200");
        typed(&mut editor, &[KeyCode::Backspace]);
        assert_eq!(editor.excess(), None);
    }
}
