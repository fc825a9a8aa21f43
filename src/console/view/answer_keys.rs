//! The keys that a dialog names beside its answers.

use crossterm::event::KeyCode;

/// Returns the key that an answer's word names, such as "enter" or "y"; `None` for other words.
pub(super) fn key_code(word: &str) -> Option<KeyCode> {
    let mut letters = word.chars();
    match (word, letters.next(), letters.next()) {
        ("enter", ..) => Some(KeyCode::Enter),
        ("esc", ..) => Some(KeyCode::Esc),
        ("tab", ..) => Some(KeyCode::Tab),
        ("f2", ..) => Some(KeyCode::F(2)),
        (_, Some(letter), None) => Some(KeyCode::Char(letter)),
        _ => None,
    }
}
