//! The newest changes with what they did.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::canvas::{Canvas, Pen, row};
use crate::console::format;
use crate::console::state::{ConsoleState, Pane};
use crate::telemetry::{Author, Comparison, Entry, Metric, Verdict, VerdictStatus};

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
    if let Some(author) = author(entry.author) {
        canvas.put(pen, &format!("{author}: "), theme.dim);
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

fn author(author: Author) -> Option<&'static str> {
    match author {
        Author::Console => None,
        Author::Api => Some("API"),
        Author::File => Some("file"),
        Author::Advice => Some("advice"),
        Author::Scheduler => Some("divvy"),
    }
}

/// One metric before and after: "p99 21.0 -> 14.2 ms (-32%)".
pub fn comparison(state: &ConsoleState, comparison: &Comparison) -> String {
    let arrow = state.glyphs.arrow;
    let (word, before, after, unit) = match comparison.metric {
        Metric::P50 | Metric::P99 => (
            if comparison.metric == Metric::P50 { "p50" } else { "p99" },
            format::millis(comparison.before as u64),
            format::millis(comparison.after as u64),
            "ms",
        ),
        Metric::Throughput => {
            ("done", format::rate(comparison.before), format::rate(comparison.after), "/s")
        }
        Metric::Goodput => {
            ("within SLO", format::rate(comparison.before), format::rate(comparison.after), "/s")
        }
    };
    format!("{word} {before} {arrow} {after} {unit} ({:+.0}%)", comparison.change * 100.0)
}

/// Whether a clear change is one for the better.
fn better(comparison: &Comparison) -> bool {
    match comparison.metric {
        Metric::P50 | Metric::P99 => comparison.change < 0.0,
        Metric::Throughput | Metric::Goodput => comparison.change > 0.0,
    }
}

/// A verdict in a few words, and how it is meant.
pub fn sentence(state: &ConsoleState, verdict: &Verdict) -> (String, Style) {
    let theme = &state.theme;
    let model = &verdict.model;
    match verdict.status {
        VerdictStatus::Open => (format!("{model} is being measured"), theme.dim),
        VerdictStatus::NotEnough => {
            let (before, after) = (verdict.samples_before, verdict.samples_after);
            (
                format!("{model}: too few requests to tell ({before} before, {after} after)"),
                theme.dim,
            )
        }
        VerdictStatus::Superseded => (format!("{model}: overtaken by a later change"), theme.dim),
        VerdictStatus::Done => {
            let mut clear = verdict.comparisons.iter().filter(|comparison| comparison.clear);
            // the tail is what most changes are made for
            let told = verdict
                .comparisons
                .iter()
                .find(|comparison| comparison.clear && comparison.metric == Metric::P99)
                .or_else(|| clear.next());
            match told {
                Some(told) => {
                    let style = if better(told) { theme.good } else { theme.bad };
                    (format!("{model} {}", comparison(state, told)), style)
                }
                None => (format!("{model}: no clear difference"), theme.dim),
            }
        }
    }
}
