//! A text field with its cursor, for dialogs and the filter.

use ratatui::style::Modifier;

use super::canvas::{Canvas, Pen};
use crate::console::format;
use crate::console::state::TextField;

/// Draws the text of an editor with its cursor. If the text is too long, the part before the cursor
/// stays in view.
pub(super) fn draw_text_field(canvas: &mut Canvas, mut pen: Pen, editor: &TextField) {
    let theme = &canvas.state.theme;
    let room = pen.room() as usize;
    let mut before = editor.before();
    // measure no more of the text than could be in view
    if let Some((start, _)) = before.char_indices().rev().nth(room.saturating_mul(4)) {
        before = before.get(start..).unwrap_or_default();
    }
    while format::width(before) + 1 > room && !before.is_empty() {
        let mut letters = before.chars();
        letters.next();
        before = letters.as_str();
    }
    if editor.is_selected() {
        return canvas.put(&mut pen, before, theme.text.add_modifier(Modifier::REVERSED));
    }
    canvas.put(&mut pen, before, theme.text);
    let mut rest = editor.after().chars();
    let under = rest.next().unwrap_or(' ');
    let cursor = theme.text.add_modifier(Modifier::REVERSED);
    canvas.put(&mut pen, under.encode_utf8(&mut [0; 4]), cursor);
    canvas.put(&mut pen, rest.as_str(), theme.text);
}
