//! The question about a saved layout that another program has changed since it was loaded.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::text_pane::{TextPane, text_columns};
use crate::console::state::{ComparisonDialog, FileComparison};
use crate::console::theme::Theme;
use crate::console::view::canvas::{Canvas, StyledLine, flow};

/// Draws the differences and the answers.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, dialog: &ComparisonDialog) {
    let ComparisonDialog { name, comparison, scroll } = dialog;
    let title = format!("{name} was changed by another program");
    let lines = lines(comparison, &canvas.state.theme, text_columns(area));
    let answers = answers(comparison);
    TextPane { title: &title, lines: &lines, scroll: *scroll, answers: &answers }
        .draw(canvas, area);
}

/// Returns the answers: key and effect.
pub(in crate::console::view) fn answers(
    comparison: &FileComparison,
) -> Vec<(&'static str, &'static str)> {
    let merge = ("m", "merge both");
    let others = [("w", "write over the file"), ("a", "save under another name")];
    let merge = comparison.conflicts.is_empty().then_some(merge);
    merge.into_iter().chain(others).collect()
}

fn lines(comparison: &FileComparison, theme: &Theme, width: usize) -> Vec<StyledLine> {
    let FileComparison { in_file, here, conflicts, .. } = comparison;
    let mut lines = Vec::new();
    let mut group = |title: &str, entries: &[String], style: Style| {
        if entries.is_empty() {
            return;
        }
        lines.push(vec![(title.to_owned(), theme.title)]);
        for entry in entries {
            lines.extend(flow([(format!("  {entry}"), style)], width, 4));
        }
    };
    group("In the file, since it was loaded here:", in_file, theme.text);
    group("Here, not saved:", here, theme.text);
    group("Both, in different ways, so they cannot be merged:", conflicts, theme.bad);
    lines
}
