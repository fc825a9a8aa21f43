//! The row editor, which shows a row's keys and edits one of them, and the field for the path of a
//! model to add. The worker parses the text while it is typed and returns its plan; Enter commits
//! it.

use super::action::ParsedInput;
use super::editor::TextField;

/// A text field with the plan of its text.
#[derive(Clone, Debug, PartialEq)]
pub struct InputPrompt {
    /// The text.
    pub editor: TextField,
    /// The parsed text; `None` until the worker answers, `Some(Ok(None))` if nothing would change.
    pub answer: Option<Result<Option<ParsedInput>, String>>,
    /// True if Enter was pressed and the answer is pending.
    pub(super) entered: bool,
    pub(super) ticket: u64,
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

    pub(super) fn paste(&mut self, text: &str) {
        self.editor.paste(text);
        self.entered = false;
    }
}
