//! All alerts, whole. The board has room for the first one only.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::console::format;
use crate::console::state::{ConsoleState, ScrollArea};
use crate::console::view::canvas::{Canvas, PaneFrame, StyledLine, flow};

/// Columns before the text of an alert: its number.
const INDENT: usize = 4;

/// Draws the screen.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let count = format::counted(state.snapshot.alerts.len(), "alert");
    let inside = canvas.frame(PaneFrame::boxed(area, "Alerts").note(&count));
    if state.snapshot.alerts.is_empty() {
        let text = "No alerts. A model that fails, waits for a CPU, misses its target or has a full \
                    queue is listed here.";
        return canvas.note(inside, text, state.theme.dim);
    }
    let lines = lines(state, inside.width as usize);
    canvas.put_lines(ScrollArea::Screen, inside, &lines, state.scroll);
}

/// Returns the alerts, each on as many lines as it needs.
fn lines(state: &ConsoleState, width: usize) -> Vec<StyledLine> {
    let theme = &state.theme;
    let entry = |(index, text): (usize, &String)| {
        let number = (format!("{:>2}  ", index + 1), theme.dim);
        let words = text.split_inclusive(' ').map(|word| (word.to_owned(), theme.warn));
        let mut lines = flow(std::iter::once(number).chain(words), width, INDENT);
        lines.push(vec![(String::new(), Style::default())]);
        lines
    };
    state.snapshot.alerts.iter().map(|alert| &alert.text).enumerate().flat_map(entry).collect()
}
