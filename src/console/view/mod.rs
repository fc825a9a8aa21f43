//! From the state to a frame: one pane a file. Drawing changes nothing and answers the hit map.

mod board;
pub mod canvas;
mod changes;
mod cores;
mod detail;
mod dialogs;
mod footer;
mod gpu_detail;
mod gpus;
mod header;
mod journal;
mod latency;
mod layouts;
mod log;
mod machine;
mod memory;
mod models;
mod over_time;
mod preview;
mod resources;
mod row_editor;
mod tags;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::state::{ConsoleState, Hits, Screen};
use canvas::{Canvas, Pen};

/// The smallest terminal that the board is drawn on, columns and rows.
pub const SMALLEST: (u16, u16) = (40, 12);

/// Draws a frame over the whole buffer.
pub fn draw(state: &ConsoleState, buffer: &mut Buffer) -> Hits {
    let area = buffer.area;
    let mut canvas = Canvas::new(state, buffer);
    canvas.tint(area, state.theme.text);
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        too_small(&mut canvas, area);
        return canvas.into_hits();
    }
    let body = Rect { y: area.y + 1, height: area.height - 3, ..area };
    header::draw(&mut canvas, Rect { height: 1, ..area });
    match state.screen {
        Screen::Board => board::draw(&mut canvas, body),
        Screen::Detail => detail::draw(&mut canvas, body),
        Screen::Machine => machine::draw(&mut canvas, body),
        Screen::Layouts => layouts::draw(&mut canvas, body),
        Screen::Memory => memory::draw(&mut canvas, body),
        Screen::Journal => journal::draw(&mut canvas, body),
        Screen::Log => log::draw(&mut canvas, body),
    }
    footer::hint(&mut canvas, Rect { y: body.bottom(), height: 1, ..area });
    dialogs::draw(&mut canvas, area);
    // above the ground of a dialog, whose keys they are then
    footer::keys(&mut canvas, Rect { y: body.bottom() + 1, height: 1, ..area });
    footer::ghost(&mut canvas, area);
    canvas.into_hits()
}

fn too_small(canvas: &mut Canvas, area: Rect) {
    let style = canvas.state.theme.text;
    let (width, height) = SMALLEST;
    let text = format!(
        "divvy needs {width}x{height}, this is {}x{}. The models go on running.",
        area.width, area.height
    );
    for (y, line) in (area.y..area.bottom()).zip(canvas::wrap(&text, area.width as usize)) {
        canvas.put_fit(&mut Pen { x: area.x, y, end: area.right() }, &line, style);
    }
}
