//! All changes of this run with their full verdicts.

use std::sync::Arc;

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::console::state::{ConsoleState, ScrollArea};
use crate::console::view::canvas::{Canvas, PaneFrame, StyledLine, StyledText, flow};
use crate::console::view::change_text::{self, ForceTime};
use crate::telemetry::{Comparison, JournalEntry, VerdictStatus};

/// Draws the screen, newest change first.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let note = "before and after each change, with the interval of the relative change";
    let inside = canvas.frame(PaneFrame::boxed(area, "Journal").note(note));
    let lines = lines(state, inside.width as usize);
    if lines.is_empty() {
        return canvas.note(
            inside,
            "No change yet. Each change is listed here with its verdict.",
            state.theme.dim,
        );
    }
    canvas.put_lines(ScrollArea::Screen, inside, &lines, state.scroll);
}

fn lines(state: &ConsoleState, width: usize) -> Vec<StyledLine> {
    // the snapshot has the newest state, the journal the older changes
    let newest = &state.snapshot.changes;
    let older = state.journal.iter().filter(|entry| newest.iter().all(|new| new.id != entry.id));
    let mut entries: Vec<&Arc<JournalEntry>> = older.chain(newest).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    entries.into_iter().flat_map(|entry| entry_lines(state, entry, width)).collect()
}

/// Returns a change on as many lines as it needs.
fn entry_lines(state: &ConsoleState, entry: &JournalEntry, width: usize) -> Vec<StyledLine> {
    let theme = &state.theme;
    let below = |indent: usize, parts: Vec<StyledText>| {
        let start = (" ".repeat(indent), Style::default());
        flow(std::iter::once(start).chain(parts), width, indent)
    };
    let mut lines = flow(change_text::summary(state, entry, ForceTime::Shown), width, 9);
    for warning in &entry.warnings {
        lines.extend(below(4, vec![(warning.clone(), theme.warn)]));
    }
    for verdict in &entry.verdicts {
        let mut parts = vec![change_text::verdict(state, verdict)];
        if verdict.status == VerdictStatus::Done {
            let (before, after) = (verdict.samples_before, verdict.samples_after);
            parts.push((format!("   from {before} and {after} requests"), theme.dim));
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
