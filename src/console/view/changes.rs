//! The newest changes with what they did.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::canvas::{Canvas, Pen, row};
use crate::console::format;
use crate::console::state::{ConsoleState, Pane};
use crate::telemetry::words::{self, Meaning};
use crate::telemetry::{Author, Comparison, Entry, Verdict};

/// Draws the pane, newest change first.
pub fn draw(canvas: &mut Canvas, area: Rect, boxed: bool) {
    let state = canvas.state;
    let undo = state.keymap.shown(crate::console::state::Command::Undo);
    let note = format!("newest first   {undo} takes it back");
    let inside = canvas.frame(area, boxed, Some(Pane::Changes), "Changes", &note);
    let entries: Vec<&Entry> = state.snapshot.changes.iter().rev().collect();
    if entries.is_empty() {
        let text = "Nothing was changed yet. What a change did to the latencies is told here.";
        return canvas.note(inside, text, state.theme.dim);
    }
    let last = entries.len().saturating_sub(inside.height as usize);
    let scroll = if state.focus == Pane::Changes { state.scroll.min(last) } else { 0 };
    for (index, entry) in entries.iter().skip(scroll).enumerate() {
        let Some(mut pen) = row(inside, index) else {
            break;
        };
        headline(canvas, &mut pen, entry);
        for verdict in &entry.verdicts {
            let (text, style) = sentence(state, verdict);
            canvas.put(&mut pen, "; ", state.theme.dim);
            canvas.put_fit(&mut pen, &text, style);
        }
    }
}

/// Time, author where it was not this console, what, and how fast.
pub fn headline(canvas: &mut Canvas, pen: &mut Pen, entry: &Entry) {
    let state = canvas.state;
    let theme = &state.theme;
    let time = format::time_of_day(entry.at_unix_ms, &state.zone);
    canvas.put(pen, &format!("{time} "), theme.dim);
    if entry.author != Author::Console {
        canvas.put(pen, &format!("{}: ", words::author(entry.author)), theme.dim);
    }
    if entry.undoes.is_some() {
        canvas.put(pen, "undo: ", theme.dim);
    }
    let style = if entry.undone { theme.dim } else { theme.text };
    canvas.put_fit(pen, &entry.summary, style);
    canvas.put_fit(pen, &format!(", in force in {} us", entry.force_us), theme.dim);
    if entry.undone {
        canvas.put_fit(pen, " (undone)", theme.dim);
    }
}

/// One metric before and after: "p99 21.0 -> 14.2 ms (-32%)".
pub fn comparison(state: &ConsoleState, comparison: &Comparison) -> String {
    let figures = words::figures(comparison, state.glyphs.arrow);
    format!("{figures} ({:+.0}%)", comparison.change * 100.0)
}

/// A verdict in a few words, and how it is meant.
pub fn sentence(state: &ConsoleState, verdict: &Verdict) -> (String, Style) {
    let theme = &state.theme;
    let (text, meaning) = words::clause(verdict, state.glyphs.arrow);
    let style = match meaning {
        Meaning::Unclear => theme.dim,
        Meaning::Better => theme.good,
        Meaning::Worse => theme.bad,
    };
    (text, style)
}
