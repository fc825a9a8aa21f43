//! All changes of this run with their verdicts in full.

use ratatui::layout::Rect;

use super::canvas::{Canvas, row};
use super::changes;
use crate::console::format;
use crate::console::state::ConsoleState;
use crate::telemetry::{Entry, Verdict, VerdictStatus};

enum Line<'a> {
    Entry(&'a Entry),
    Warning(&'a str),
    Verdict(&'a Verdict),
}

/// Draws the screen, newest change first.
pub fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let theme = &state.theme;
    let note = "before and after, with the interval of the relative change";
    let inside = canvas.frame(area, true, None, "Journal", note);
    let lines = lines(state);
    if lines.is_empty() {
        return canvas.note(inside, "Nothing was changed yet.", theme.dim);
    }
    let most = lines.len().saturating_sub(inside.height as usize);
    for (index, line) in lines.iter().skip(state.scroll.min(most)).enumerate() {
        let Some(mut pen) = row(inside, index) else {
            break;
        };
        match line {
            Line::Entry(entry) => changes::headline(canvas, &mut pen, entry),
            Line::Warning(text) => canvas.put_fit(&mut pen, &format!("    {text}"), theme.warn),
            Line::Verdict(verdict) => {
                let (text, style) = changes::sentence(state, verdict);
                canvas.put_fit(&mut pen, &format!("    {text}"), style);
                canvas.put_fit(&mut pen, &details(state, verdict), theme.dim);
            }
        }
    }
}

/// Every metric of a verdict with its interval, and the sample counts.
fn details(state: &ConsoleState, verdict: &Verdict) -> String {
    if verdict.status != VerdictStatus::Done {
        return String::new();
    }
    let parts: Vec<String> = verdict
        .comparisons
        .iter()
        .map(|comparison| {
            format!(
                "{} [{:+.0}, {:+.0}]",
                changes::comparison(state, comparison),
                comparison.low * 100.0,
                comparison.high * 100.0
            )
        })
        .collect();
    format!(
        "   {} and {} requests: {}",
        format::count(verdict.samples_before),
        format::count(verdict.samples_after),
        parts.join(", ")
    )
}

fn lines(state: &ConsoleState) -> Vec<Line<'_>> {
    // the snapshot is newer, the journal goes further back
    let newest = &state.snapshot.changes;
    let older = state.journal.iter().filter(|entry| newest.iter().all(|new| new.id != entry.id));
    let mut entries: Vec<&Entry> = older.chain(newest).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    entries
        .into_iter()
        .flat_map(|entry| {
            std::iter::once(Line::Entry(entry))
                .chain(entry.warnings.iter().map(|text| Line::Warning(text)))
                .chain(entry.verdicts.iter().map(Line::Verdict))
        })
        .collect()
}
