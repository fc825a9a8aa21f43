//! All changes of this run with their full verdicts.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::console::state::{ConsoleState, ScrollArea, Target};
use crate::console::view::canvas::{Canvas, PaneFrame, StyledLine, StyledText, flow, row};
use crate::console::view::change_text::{self, ForceTime};
use crate::telemetry::{Comparison, JournalEntry, VerdictStatus, text};

/// Columns of the mark of the selected change.
const GUTTER: usize = 2;

/// Draws the screen, newest change first.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let note = "before and after each change, with the interval of the relative change";
    let inside = canvas.frame(PaneFrame::boxed(area, "Journal").note(note));
    let entries = state.journal_entries();
    if entries.is_empty() {
        return canvas.note(
            inside,
            "No change yet. Each change is listed here with its verdict.",
            state.theme.dim,
        );
    }
    let width = (inside.width as usize).saturating_sub(GUTTER);
    let lines: Vec<Vec<StyledLine>> =
        entries.iter().map(|entry| entry_lines(state, entry, width)).collect();
    let selected = state.journal_position(&entries);
    let first = first_line(canvas, &lines, selected, inside);
    let mut at = 0;
    for (index, (entry, lines)) in entries.iter().zip(&lines).enumerate() {
        let (start, end) = (at, at + lines.len());
        at = end;
        let shown = start.max(first)..end.min(first + inside.height as usize);
        if shown.is_empty() {
            continue;
        }
        let place = Rect {
            y: inside.y + (shown.start - first) as u16,
            height: shown.len() as u16,
            ..inside
        };
        let text = Rect {
            x: place.x + (GUTTER as u16).min(place.width),
            width: place.width.saturating_sub(GUTTER as u16),
            ..place
        };
        canvas.put_from(text, lines, shown.start - start);
        if index == selected {
            if let Some(mut pen) = row(place, 0) {
                canvas.put(&mut pen, state.glyphs.pointer, state.theme.accent);
            }
            canvas.tint_plain(place, state.theme.selected);
        }
        // the wheel scrolls a selected change that does not fit
        if index != selected || lines.len() <= inside.height as usize {
            canvas.hit(place, Target::Change(entry.id));
        }
    }
    canvas.note_more_below(inside, at.saturating_sub(first));
}

/// Returns the first line that is shown: the selected change is on the screen, whole if it fits. One that does
/// not fit can be scrolled.
fn first_line(
    canvas: &mut Canvas,
    lines: &[Vec<StyledLine>],
    selected: usize,
    inside: Rect,
) -> usize {
    let height = inside.height as usize;
    let start: usize = lines.iter().take(selected).map(Vec::len).sum();
    let own = lines.get(selected).map_or(0, Vec::len);
    let scroll = canvas.state.scroll;
    let scrolled = canvas.scroll_to(ScrollArea::Preview, inside, own, scroll);
    if own > height { start + scrolled } else { (start + own).saturating_sub(height) }
}

/// Returns a change on as many lines as it needs.
fn entry_lines(state: &ConsoleState, entry: &JournalEntry, width: usize) -> Vec<StyledLine> {
    let theme = &state.theme;
    let below = |indent: usize, parts: Vec<StyledText>| {
        let start = (" ".repeat(indent), Style::default());
        flow(std::iter::once(start).chain(parts), width, indent)
    };
    let number = format!("#{} ", entry.id);
    let indent = 9 + number.len();
    let summary = change_text::summary(state, entry, ForceTime::Shown);
    let mut lines = flow(std::iter::once((number, theme.dim)).chain(summary), width, indent);
    for warning in &entry.warnings {
        lines.extend(below(4, vec![(warning.clone(), theme.warn)]));
    }
    for verdict in &entry.verdicts {
        let mut parts = vec![change_text::verdict(state, verdict)];
        if verdict.status == VerdictStatus::Done {
            let (before, after) = (verdict.samples_before, verdict.samples_after);
            let samples = text::sample_noun(verdict.counted);
            parts.push((format!("   from {before} and {after} {samples}"), theme.dim));
        }
        lines.extend(below(4, parts));
        for comparison in &verdict.comparisons {
            lines.extend(below(6, vec![(comparison_text(state, comparison), theme.dim)]));
        }
    }
    lines
}

fn comparison_text(state: &ConsoleState, comparison: &Comparison) -> String {
    format!(
        "{}, interval {:+.0}% to {:+.0}%{}",
        change_text::comparison(state, comparison),
        comparison.low * 100.0,
        comparison.high * 100.0,
        if comparison.clear { "" } else { ": no clear difference" }
    )
}
