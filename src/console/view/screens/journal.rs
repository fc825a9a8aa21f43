//! All changes of this run with their verdicts in full.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::canvas::{Canvas, Line};
use super::changes::{self, Piece};
use crate::console::state::{ConsoleState, Scrolled};
use crate::telemetry::{Comparison, Entry, VerdictStatus};

/// Draws the screen, newest change first.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let note = "before and after, with the interval of the relative change";
    let inside = canvas.frame(area, true, None, "Journal", note);
    let lines = lines(state, inside.width as usize);
    if lines.is_empty() {
        return canvas.note(inside, "Nothing was changed yet.", state.theme.dim);
    }
    canvas.put_lines(Scrolled::Screen, inside, &lines, state.scroll);
}

fn lines(state: &ConsoleState, width: usize) -> Vec<Line> {
    // the snapshot is newer, the journal goes further back
    let newest = &state.snapshot.changes;
    let older = state.journal.iter().filter(|entry| newest.iter().all(|new| new.id != entry.id));
    let mut entries: Vec<&Entry> = older.chain(newest).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    entries.into_iter().flat_map(|entry| told(state, entry, width)).collect()
}

/// An entry over as many lines as it needs.
fn told(state: &ConsoleState, entry: &Entry, width: usize) -> Vec<Line> {
    let theme = &state.theme;
    let below = |indent: usize, pieces: Vec<Piece>| {
        let start = (" ".repeat(indent), Style::default());
        changes::flow(std::iter::once(start).chain(pieces), width, indent)
    };
    let mut lines = changes::flow(changes::pieces(state, entry, true), width, 9);
    for warning in &entry.warnings {
        lines.extend(below(4, vec![(warning.clone(), theme.warn)]));
    }
    for verdict in &entry.verdicts {
        let mut pieces = vec![changes::sentence(state, verdict)];
        if verdict.status == VerdictStatus::Done {
            let (before, after) = (verdict.samples_before, verdict.samples_after);
            pieces.push((format!("   from {before} and {after} requests"), theme.dim));
        }
        lines.extend(below(4, pieces));
        for comparison in &verdict.comparisons {
            lines.extend(below(6, vec![(compared(state, comparison), theme.dim)]));
        }
    }
    lines
}

fn compared(state: &ConsoleState, comparison: &Comparison) -> String {
    format!(
        "{}, interval {:+.0}% to {:+.0}%{}",
        changes::comparison(state, comparison),
        comparison.low * 100.0,
        comparison.high * 100.0,
        if comparison.clear { "" } else { ": no clear difference" }
    )
}
