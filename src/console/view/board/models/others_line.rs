//! The line below the rows: the processes that belong to no row.

use ratatui::layout::Rect;

use super::columns::Field;
use crate::console::state::{ConsoleState, Target};
use crate::console::view::canvas::{Canvas, Pen};
use crate::console::view::key::Key;
use crate::console::view::process_text;
use crate::telemetry::OtherProcesses;

/// Returns the key of what the line is drawn from.
pub(super) fn key(state: &ConsoleState, others: &OtherProcesses) -> Key {
    let mut key = Key::default();
    key.add(process_text::others(others));
    key.add(state.on_others);
    key
}

/// Draws the line: the name in its column, and the text from the next one on.
pub(super) fn draw(
    canvas: &mut Canvas,
    pen: Pen,
    others: &OtherProcesses,
    columns: &[(Field, usize)],
) {
    let state = canvas.state;
    let theme = &state.theme;
    let line = Rect { x: pen.x, y: pen.y, width: pen.room(), height: 1 };
    canvas.hit(line, Target::Others);
    let mut at = pen;
    let mark = if state.on_others { state.glyphs.pointer } else { " " };
    canvas.put(&mut at, mark, theme.accent);
    at.x = line.x + 2;
    for (field, size) in columns {
        if *field == Field::Name {
            canvas.put_left(&mut at, "other", *size, theme.dim);
            at.x += 1;
            break;
        }
        at.x += *size as u16 + 1;
    }
    canvas.put_fit(&mut at, &process_text::others(others), theme.dim);
    if state.on_others {
        canvas.tint_plain(line, theme.selected);
    }
}
