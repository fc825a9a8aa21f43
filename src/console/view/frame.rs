//! A whole frame: header, screen, footer and what lies over them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::canvas::{Canvas, Pen, wrap};
use super::{board, dialog, footer, header, screens};
use crate::console::state::{ConsoleState, HitMap, Screen};

/// Columns and rows of the smallest terminal that the console fits on.
pub const MIN_SIZE: (u16, u16) = (40, 12);

/// Draws a frame over the whole buffer and returns its click targets.
pub fn draw(state: &ConsoleState, buffer: &mut Buffer) -> HitMap {
    let area = buffer.area;
    let mut canvas = Canvas::new(state, buffer);
    canvas.tint(area, state.theme.text);
    if area.width < MIN_SIZE.0 || area.height < MIN_SIZE.1 {
        draw_too_small(&mut canvas, area);
        return canvas.into_hits();
    }
    let body = Rect { y: area.y + 1, height: area.height - 3, ..area };
    header::draw(&mut canvas, Rect { height: 1, ..area });
    match state.screen {
        Screen::Board => board::draw(&mut canvas, body),
        screen => screens::draw(&mut canvas, body, screen),
    }
    footer::draw_hint(&mut canvas, Rect { y: body.bottom(), height: 1, ..area });
    dialog::draw(&mut canvas, area);
    // after the dialog, whose keys this line then shows
    footer::draw_keys(&mut canvas, Rect { y: body.bottom() + 1, height: 1, ..area });
    footer::draw_drag_label(&mut canvas, area);
    canvas.into_hits()
}

fn draw_too_small(canvas: &mut Canvas, area: Rect) {
    let style = canvas.state.theme.text;
    let (width, height) = MIN_SIZE;
    let text = format!(
        "divvy needs {width}x{height}; this terminal is {}x{}. The models keep running.",
        area.width, area.height
    );
    for (y, line) in (area.y..area.bottom()).zip(wrap(&text, area.width as usize)) {
        canvas.put_fit(&mut Pen { x: area.x, y, end: area.right() }, &line, style);
    }
}
