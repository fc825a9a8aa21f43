//! A text editor of one line.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The text and the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextField {
    before: String,
    after: String,
    /// Maximum length of the text in bytes.
    limit: usize,
    /// True if the whole text is selected: the next letter replaces it.
    selected: bool,
    /// Characters of the last insertion that did not fit.
    left_out: usize,
}

impl Default for TextField {
    fn default() -> Self {
        Self::new("")
    }
}

impl TextField {
    /// Maximum length of a search in bytes.
    pub const LIMIT: usize = 200;

    /// Maximum length of a layout's name in bytes.
    pub const NAME: usize = 100;

    /// Maximum length of a path or value in bytes, the maximum of a path on Linux.
    pub const LONG: usize = 4096;

    /// Creates an editor of a search, with the cursor at its end.
    pub fn new(text: &str) -> Self {
        Self {
            before: text.to_owned(),
            after: String::new(),
            limit: Self::LIMIT,
            selected: false,
            left_out: 0,
        }
    }

    /// Creates an editor of a search with the whole text selected.
    pub fn selected(text: &str) -> Self {
        Self { selected: !text.is_empty(), ..Self::new(text) }
    }

    /// Creates an editor of a layout's name.
    pub fn name(text: &str) -> Self {
        Self { limit: Self::NAME, ..Self::new(text) }
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
        Some(format!("{left} left out: there is room for {limit} bytes"))
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

    /// Returns true if the whole text is selected.
    pub fn is_selected(&self) -> bool {
        self.selected
    }

    /// Inserts pasted text at the cursor, as one line.
    pub fn paste(&mut self, text: &str) {
        let text = text.trim_matches(['\n', '\r']);
        if text.contains(['\n', '\r']) {
            let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
            return self.insert(&lines.collect::<Vec<_>>().join(" ").replace('\t', " "));
        }
        self.insert(&text.replace('\t', " "));
    }

    /// Inserts text at the cursor, or in place of the selected text, without control characters. Drops
    /// text beyond the maximum length; [`Self::excess`] reports it.
    pub fn insert(&mut self, text: &str) {
        self.remove_selected();
        let mut room = self.limit.saturating_sub(self.before.len() + self.after.len());
        let mut letters = text.chars().filter(|letter| !letter.is_control()).peekable();
        while let Some(letter) = letters.next_if(|letter| letter.len_utf8() <= room) {
            room -= letter.len_utf8();
            self.before.push(letter);
        }
        self.left_out = letters.count();
    }

    /// Removes the text if it is selected. Returns true if it was.
    fn remove_selected(&mut self) -> bool {
        let selected = std::mem::take(&mut self.selected);
        if selected {
            self.before.clear();
            self.after.clear();
        }
        selected
    }

    /// Handles a key. Returns true if the key has a function.
    pub fn key(&mut self, event: KeyEvent) -> bool {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let left_out = std::mem::take(&mut self.left_out);
        match (event.code, control) {
            (KeyCode::Backspace | KeyCode::Delete, _) if self.remove_selected() => return true,
            // a letter replaces the selected text; any other key only ends the selection
            (KeyCode::Char(_), false) => {}
            _ => self.selected = false,
        }
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
        assert_eq!(editor.text().len(), TextField::LIMIT);
        let room = "left out: there is room for 200 bytes";
        assert_eq!(editor.excess().unwrap(), format!("306 characters were {room}"));
        typed(&mut editor, &[KeyCode::Char('y')]);
        assert_eq!(editor.excess().unwrap(), format!("1 character was {room}"));
        typed(&mut editor, &[KeyCode::Backspace]);
        assert_eq!(editor.excess(), None);
    }

    #[test]
    fn pasted_lines_become_one() {
        let paste = |text: &str| {
            let mut editor = TextField::new("x");
            editor.paste(text);
            editor.text()
        };
        assert_eq!(paste("/tmp/a.onnx\n"), "x/tmp/a.onnx");
        assert_eq!(paste("{\r\n\tbatch = 2,\n}"), "x{ batch = 2, }");
        assert_eq!(paste(" b\tc "), "x b c ");
    }

    #[test]
    fn letter_replaces_selected_text() {
        let mut editor = TextField::selected("ocr");
        typed(&mut editor, &[KeyCode::Char('d')]);
        assert_eq!(editor.text(), "d");
        let mut editor = TextField::selected("ocr");
        typed(&mut editor, &[KeyCode::End, KeyCode::Char('d')]);
        assert_eq!(editor.text(), "ocrd");
        let mut editor = TextField::selected("ocr");
        typed(&mut editor, &[KeyCode::Backspace]);
        assert_eq!(editor.text(), "");
        let mut editor = TextField::selected("ocr");
        editor.paste("det");
        assert_eq!(editor.text(), "det");
    }

    #[test]
    fn name_is_limited_in_bytes() {
        let mut editor = TextField::name("");
        editor.insert(&"é".repeat(60));
        assert_eq!(editor.text().len(), TextField::NAME);
        assert!(editor.excess().unwrap().starts_with("10 characters"));
    }
}
