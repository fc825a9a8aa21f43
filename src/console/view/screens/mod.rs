//! The screens beside the board, each one pane over the whole body.

mod alerts;
mod connections;
mod detail;
mod gpu_readings;
mod journal;
mod layout_preview;
mod layouts;
mod log;
mod machine;
mod memory;
mod process_detail;

use ratatui::layout::Rect;

use super::canvas::Canvas;
use crate::console::state::Screen;

/// Draws a screen. The board is drawn by its own module.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, screen: Screen) {
    match screen {
        Screen::Board => {}
        Screen::Detail => detail::draw(canvas, area),
        Screen::Machine => machine::draw(canvas, area),
        Screen::Layouts => layouts::draw(canvas, area),
        Screen::Memory => memory::draw(canvas, area),
        Screen::Connections => connections::draw(canvas, area),
        Screen::Journal => journal::draw(canvas, area),
        Screen::Log => log::draw(canvas, area),
        Screen::Alerts => alerts::draw(canvas, area),
    }
}
