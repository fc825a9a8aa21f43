//! The newest changes with what they did.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::canvas::{Canvas, Pen, row};
use crate::console::format;
use crate::console::state::{ConsoleState, Pane};
use crate::telemetry::words::{self, Meaning};
use crate::telemetry::{Author, Comparison, Entry, Verdict, VerdictStatus};

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
    let lines: Vec<Vec<Piece>> =
        entries.iter().flat_map(|entry| told(state, entry, inside.width as usize)).collect();
    let last = lines.len().saturating_sub(inside.height as usize);
    let scroll = if state.focus == Pane::Changes { state.scroll.min(last) } else { 0 };
    for (index, line) in lines.iter().skip(scroll).enumerate() {
        let Some(mut pen) = row(inside, index) else {
            break;
        };
        for (text, style) in line {
            canvas.put_fit(&mut pen, text, *style);
        }
    }
}

/// Words that stay together where a line has room for them.
type Piece = (String, Style);

/// Columns of the time, below which further lines begin.
const INDENT: usize = 9;
/// In a narrower pane the verdict goes before how fast the change was.
const WIDE: usize = 100;

/// An entry with its verdicts, broken between clauses, so that no figure is cut.
fn told(state: &ConsoleState, entry: &Entry, width: usize) -> Vec<Vec<Piece>> {
    let brief = width < WIDE && entry.verdicts.iter().any(|one| one.status == VerdictStatus::Done);
    let mut pieces = pieces(state, entry, !brief);
    for verdict in &entry.verdicts {
        let (text, style) = sentence(state, verdict);
        pieces.push(("; ".to_owned(), state.theme.dim));
        pieces.push((text, style));
    }
    flow(pieces, width)
}

fn flow(pieces: Vec<Piece>, width: usize) -> Vec<Vec<Piece>> {
    let mut lines: Vec<Vec<Piece>> = vec![Vec::new()];
    let mut used = 0;
    let mut put = |text: &str, style: Style, fresh: bool| {
        if fresh {
            lines.push(vec![(" ".repeat(INDENT), Style::default())]);
            used = INDENT;
        }
        used += format::width(text);
        if let Some(line) = lines.last_mut() {
            line.push((text.to_owned(), style));
        }
        used
    };
    let mut at = 0;
    for (text, style) in pieces {
        let size = format::width(&text);
        if at + size <= width {
            at = put(&text, style, false);
        } else if INDENT + size <= width {
            at = put(text.trim_start_matches([';', ',', ' ']), style, true);
        } else {
            for word in text.split_inclusive(' ') {
                let fresh = at + format::width(word.trim_end()) > width;
                at = put(word, style, fresh);
            }
        }
    }
    lines
}

/// Time, author where it was not this console, what, how fast with `speed`, whether it stands.
fn pieces(state: &ConsoleState, entry: &Entry, speed: bool) -> Vec<Piece> {
    let theme = &state.theme;
    let time = format::time_of_day(entry.at_unix_ms, &state.zone);
    let mut pieces = vec![(format!("{time} "), theme.dim)];
    if entry.author != Author::Console {
        pieces.push((format!("{}: ", words::author(entry.author)), theme.dim));
    }
    if entry.undoes.is_some() {
        pieces.push(("undo: ".to_owned(), theme.dim));
    }
    let style = if entry.undone { theme.dim } else { theme.text };
    pieces.push((entry.summary.clone(), style));
    if speed {
        pieces.push((format!(", in force in {} us", entry.force_us), theme.dim));
    }
    if entry.undone {
        pieces.push((" (undone)".to_owned(), theme.dim));
    }
    pieces
}

/// The same on one line.
pub fn headline(canvas: &mut Canvas, pen: &mut Pen, entry: &Entry) {
    for (text, style) in pieces(canvas.state, entry, true) {
        canvas.put_fit(pen, &text, style);
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
