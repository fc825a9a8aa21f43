//! The newest changes with what they did.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::canvas::{self, Canvas, Line};
use crate::console::format;
use crate::console::state::{ConsoleState, Pane, Scrolled};
use crate::telemetry::words::{self, Meaning};
use crate::telemetry::{Author, Comparison, Entry, Verdict, VerdictStatus};

/// Draws the pane, newest change first.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, boxed: bool) {
    let state = canvas.state;
    let undo = state.keymap.shown(crate::console::state::Command::Undo);
    let mut note = format!("newest first   {undo} takes it back");
    let inside = canvas::inside(area, boxed);
    let (width, height) = (inside.width as usize, inside.height as usize);
    let entries = state.snapshot.changes.iter().rev().enumerate();
    // the newest one has the pane to itself where it is long
    let lines: Vec<Line> = entries
        .flat_map(|(at, entry)| told(state, entry, width, if at == 0 { height } else { 1 }))
        .collect();
    let first = canvas.scrolls(Scrolled::Changes, inside, lines.len(), state.scroll_changes);
    let rest = lines.len() - first;
    if !boxed && rest > height {
        note = format!("{} more below", rest - height);
    }
    canvas.frame(area, boxed, Some(Pane::Changes), "Changes", &note);
    if lines.is_empty() {
        let text = "Nothing was changed yet. What a change did to the latencies is told here.";
        return canvas.note(inside, text, state.theme.dim);
    }
    if boxed {
        canvas.more_below(inside, rest);
    }
    canvas.put_from(inside, &lines, first);
}

/// Words that stay together where a line has room for them.
pub(super) type Piece = (String, Style);

/// Columns of the time, below which further lines begin.
const INDENT: usize = 9;
/// In a narrower pane the verdict goes before how fast the change was.
const WIDE: usize = 100;

/// An entry with its verdicts, broken between clauses, so that no figure is cut. Where it takes more
/// than `height` lines, what came of it goes before all of what it was.
fn told(state: &ConsoleState, entry: &Entry, width: usize, height: usize) -> Vec<Line> {
    let done = entry.verdicts.iter().any(|one| one.status != VerdictStatus::Open);
    let mut pieces = pieces(state, entry, width >= WIDE || !done);
    let verdicts = |finished: bool| {
        let wanted = move |one: &&Verdict| !finished || one.status != VerdictStatus::Open;
        entry
            .verdicts
            .iter()
            .filter(wanted)
            .flat_map(|verdict| [("; ".to_owned(), state.theme.dim), sentence(state, verdict)])
    };
    let whole = flow(pieces.iter().cloned().chain(verdicts(false)), width, INDENT);
    if whole.len() <= height || !done {
        return whole;
    }
    let summary = pieces.iter().position(|(text, _)| *text == entry.summary);
    let Some(((first, others), at)) = first_row(entry, width.saturating_sub(INDENT)).zip(summary)
    else {
        return whole;
    };
    let mut tail = pieces.split_off(at);
    let style = tail.first().map_or(state.theme.text, |(_, style)| *style);
    tail.splice(..1, [("; also ".to_owned(), state.theme.dim), (others.to_owned(), style)]);
    pieces.push((first.to_owned(), style));
    flow(pieces.into_iter().chain(verdicts(true)).chain(tail), width, INDENT)
}

/// The part of a summary about its first row, at most `room` columns of it, and what follows.
fn first_row(entry: &Entry, room: usize) -> Option<(&str, &str)> {
    let summary = &entry.summary;
    let fits = |end| summary.get(..end).is_some_and(|part| format::width(part) <= room);
    let next = |model: &String| summary.find(&format!(", {model} "));
    let end = entry.models.iter().filter_map(next).min();
    let end = end.filter(|end| fits(*end)).or_else(|| {
        let breaks = summary.match_indices(", ").map(|(at, _)| at);
        breaks.take_while(|at| fits(*at)).last()
    })?;
    let (first, others) = summary.split_at_checked(end)?;
    Some((first, others.strip_prefix(", ")?))
}

/// Breaks pieces into lines of at most `width` columns, between pieces where they fit whole. Further
/// lines begin `indent` columns in.
pub(super) fn flow(
    pieces: impl IntoIterator<Item = Piece>,
    width: usize,
    indent: usize,
) -> Vec<Line> {
    let mut lines: Vec<Line> = vec![Vec::new()];
    let mut used = 0;
    let mut put = |text: &str, style: Style, fresh: bool| {
        if fresh {
            lines.push(vec![(" ".repeat(indent), Style::default())]);
            used = indent;
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
        } else if indent + size <= width {
            at = put(text.trim_start_matches([';', ',', ' ']), style, true);
        } else {
            for word in text.split_inclusive(' ') {
                let fresh = at > indent && at + format::width(word.trim_end()) > width;
                // the space at a line's end is not drawn: it would cost the word a letter
                let from = if fresh { indent } else { at };
                let fits = from + format::width(word) <= width;
                at = put(if fits { word } else { word.trim_end() }, style, fresh);
            }
        }
    }
    lines
}

/// Time, author where it was not this console, what, how fast with `speed`, whether it stands.
pub(super) fn pieces(state: &ConsoleState, entry: &Entry, speed: bool) -> Vec<Piece> {
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

/// One metric before and after: "p99 21.0 -> 14.2 ms (-32%)".
pub(super) fn comparison(state: &ConsoleState, comparison: &Comparison) -> String {
    let figures = words::figures(comparison, state.glyphs.arrow);
    format!("{figures} ({:+.0}%)", comparison.change * 100.0)
}

/// A verdict in a few words, and how it is meant.
pub(super) fn sentence(state: &ConsoleState, verdict: &Verdict) -> (String, Style) {
    let theme = &state.theme;
    let (text, meaning) = words::clause(verdict, state.glyphs.arrow);
    let style = match meaning {
        Meaning::Unclear => theme.dim,
        Meaning::Better => theme.good,
        Meaning::Worse => theme.bad,
    };
    (text, style)
}
