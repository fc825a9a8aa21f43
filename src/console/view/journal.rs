//! All changes of this run with their verdicts in full.

use ratatui::layout::Rect;

use super::canvas::{Canvas, row};
use super::changes;
use crate::console::state::ConsoleState;
use crate::telemetry::{Comparison, Entry, Verdict, VerdictStatus};

enum Line<'a> {
    Entry(&'a Entry),
    Warning(&'a str),
    Verdict(&'a Verdict),
    Comparison(&'a Comparison),
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
                if verdict.status == VerdictStatus::Done {
                    let (before, after) = (verdict.samples_before, verdict.samples_after);
                    let text = format!("   from {before} and {after} requests");
                    canvas.put_fit(&mut pen, &text, theme.dim);
                }
            }
            Line::Comparison(comparison) => {
                let text = format!(
                    "      {}, interval {:+.0}% to {:+.0}%{}",
                    changes::comparison(state, comparison),
                    comparison.low * 100.0,
                    comparison.high * 100.0,
                    if comparison.clear { "" } else { ": no clear difference" }
                );
                canvas.put_fit(&mut pen, &text, theme.dim);
            }
        }
    }
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
                .chain(entry.verdicts.iter().flat_map(|verdict| {
                    let parts = verdict.comparisons.iter().map(Line::Comparison);
                    std::iter::once(Line::Verdict(verdict)).chain(parts)
                }))
        })
        .collect()
}
