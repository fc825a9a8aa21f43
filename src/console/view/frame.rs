//! A whole frame: header, screen, footer and what lies over them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::footer::{self, Hint};
use super::{board, dialog, header, screens, small_screen};
use crate::console::state::{ConsoleState, HitMap, Screen};

/// Columns and rows of the smallest terminal that the console fits on.
pub const MIN_SIZE: (u16, u16) = (40, 12);

/// Draws a whole frame into an empty buffer and returns its click targets.
pub fn draw(state: &ConsoleState, buffer: &mut Buffer) -> HitMap {
    let mut canvas = Canvas::new(state, buffer);
    draw_on(&mut canvas);
    canvas.finish().map(|(hits, _)| hits).unwrap_or_default()
}

/// Draws a frame, or those of its parts that changed.
pub(super) fn draw_on(canvas: &mut Canvas) {
    let area = canvas.area();
    let state = canvas.state;
    if area.width < MIN_SIZE.0 || area.height < MIN_SIZE.1 {
        return small_screen::draw(canvas, area);
    }
    let body = Rect { y: area.y + 1, height: area.height - 3, ..area };
    let head = Rect { height: 1, ..area };
    canvas.part(head, None, |canvas| header::draw(canvas, head));
    match state.screen {
        Screen::Board => board::draw(canvas, body),
        screen => canvas.part(body, None, |canvas| screens::draw(canvas, body, screen)),
    }
    if state.connection_loss().is_some() {
        canvas.grey(Rect { height: body.bottom() - area.y, ..area });
    }
    let hint = Hint::of(state, area.width, most_hint_lines(state, body));
    let lines = hint.height();
    let place = Rect { y: body.bottom() + 1 - lines, height: lines, ..area };
    canvas.part(place, None, |canvas| footer::draw_hint(canvas, place, &hint));
    if state.dialog.is_some() {
        canvas.part(area, None, |canvas| dialog::draw(canvas, area));
    }
    // after the dialog, whose keys this line then shows
    let keys = Rect { y: body.bottom() + 1, height: 1, ..area };
    canvas.part(keys, Some(0), |canvas| footer::draw_keys(canvas, keys));
    if state.drag.is_some() {
        canvas.part(area, None, |canvas| footer::draw_drag_label(canvas, area));
    }
}

/// Returns the most lines that the hint may have: it covers up to a third of the screen, but neither
/// the pointer of a drag nor the label below it.
fn most_hint_lines(state: &ConsoleState, body: Rect) -> u16 {
    let third = 1 + body.height / 3;
    let pointer = state.drag.as_ref().and_then(|drag| drag.pointer);
    let below = pointer.map_or(third, |(_, y)| body.bottom().saturating_sub(y + 1));
    third.min(below).max(2)
}
