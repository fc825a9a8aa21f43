//! The newest lines of divvy's own log. The screen follows the newest line until it is scrolled.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::console::format;
use crate::console::state::{Command, ConsoleState, ScrollArea, Target};
use crate::console::view::canvas::{Border, Canvas, PaneFrame, row, wrap};
use crate::telemetry::{LogLevel, LogLine};

/// Columns of time and level.
const HEAD: usize = 15;

/// Draws the screen.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let theme = &state.theme;
    let lines = state.log.lines();
    let inside = Border::Box.inside(area);
    let height = inside.height as usize;
    let width = (inside.width as usize).saturating_sub(HEAD);
    // the number of lines, from the oldest on, that fill the screen
    let mut rows = 0;
    let fill = lines.iter().take_while(|line| {
        let full = rows >= height;
        rows += if full { 0 } else { wrapped(line, width).len() };
        !full
    });
    let least = fill.count();
    let at = state.log.end().max(least);
    let below = lines.len() - at;
    let note = if below > 0 {
        format!("{below} newer below, {} follows the newest", state.keymap.shown(Command::Last))
    } else {
        "following the newest line".to_owned()
    };
    canvas.frame(PaneFrame::boxed(area, "Log").note(&note));
    canvas.set_log_fill(least);
    canvas.hit(inside, Target::Lines(ScrollArea::Screen));
    if lines.is_empty() {
        let text = "No log lines yet. Start divvy with DIVVY_LOG=debug to log more.";
        return canvas.note(inside, text, theme.dim);
    }
    // from the last line up, until the screen is full
    let mut shown: Vec<(Option<&LogLine>, String)> = Vec::new();
    for line in lines.iter().take(at).rev() {
        let parts = wrapped(line, width);
        for (index, text) in parts.into_iter().enumerate().rev() {
            shown.push(((index == 0).then_some(line), text));
        }
        if shown.len() >= height {
            break;
        }
    }
    shown.truncate(height);
    for (index, (line, text)) in shown.iter().rev().enumerate() {
        let Some(mut pen) = row(inside, index) else {
            break;
        };
        if let Some(line) = line {
            let time = format::time_of_day(line.at_unix_ms, &state.zone);
            canvas.put_left(&mut pen, &time, 9, theme.dim);
            canvas.put_left(&mut pen, line.level.name(), HEAD - 9, style(state, line.level));
        }
        pen.x = inside.x + HEAD as u16;
        canvas.put_fit(&mut pen, text, theme.text);
    }
}

/// Returns a line on as many rows as it needs, with the module that logged it.
fn wrapped(line: &LogLine, width: usize) -> Vec<String> {
    let from = line.from.strip_prefix("divvy::").unwrap_or(&line.from);
    let parts = wrap(&format!("{from}: {}", line.text), width);
    // a word longer than the row is cut
    if parts.is_empty() { vec![String::new()] } else { parts }
}

fn style(state: &ConsoleState, level: LogLevel) -> Style {
    match level {
        LogLevel::Error => state.theme.bad,
        LogLevel::Warn => state.theme.warn,
        LogLevel::Info => state.theme.text,
        LogLevel::Debug | LogLevel::Trace => state.theme.dim,
    }
}
