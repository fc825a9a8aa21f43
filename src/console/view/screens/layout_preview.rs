//! What applying a saved layout would change, row by row and key by key, warnings first.

use super::canvas::Line;
use super::changes::{Piece, flow};
use crate::console::format;
use crate::console::state::ConsoleState;
use crate::layout::{Budget, DiffLine, Layout, Plan, RowPlan, plan_diff};
use crate::machine::CpuSet;

/// The lines, at most `width` columns wide.
pub(super) fn lines(state: &ConsoleState, plan: &Plan, width: usize) -> Vec<Line> {
    let theme = &state.theme;
    let mut lines: Vec<Line> = Vec::new();
    for warning in &plan.warnings {
        lines.extend(flow(
            [("! ".to_owned(), theme.warn), (warning.clone(), theme.warn)],
            width,
            2,
        ));
    }
    if !lines.is_empty() {
        lines.push(Line::new());
    }
    let models = state.snapshot.models.iter().map(|view| &view.row.budget);
    let models: Vec<Budget> =
        models.filter_map(|budget| Some(state.live(&budget.name)?.budget.clone())).collect();
    let before = Layout { description: plan.after.description.clone(), models };
    let differences = plan_diff(&before, plan);
    for row in &plan.rows {
        let gone = plan.after.row(&row.model).is_none();
        let (mark, what, style) =
            match (gone, row.renamed_from.is_none() && before.model(&row.model).is_none()) {
                (true, _) => ("-", vec![removed(row)], theme.bad),
                (false, true) => ("+", vec![arrives(row)], theme.good),
                (false, false) => (" ", changed(row, &differences, state.glyphs.arrow), theme.text),
            };
        let name = format::fit(&row.model, width / 2, state.glyphs.ellipsis);
        let mut pieces: Vec<Piece> =
            vec![(format!("{mark} "), style), (format!("{name}: "), theme.title)];
        let count = what.len();
        pieces.extend(
            what.into_iter()
                .enumerate()
                .map(|(at, text)| (if at + 1 < count { format!("{text}, ") } else { text }, style)),
        );
        lines.extend(flow(pieces, width, 4));
    }
    for difference in &differences {
        if let DiffLine::Changed { model: None, field, before, after } = difference {
            let text = format!("{before} {} {after}", state.glyphs.arrow);
            let pieces = [(format!("  {field}: "), theme.title), (text, theme.text)];
            lines.extend(flow(pieces, width, 4));
        }
    }
    lines
}

fn removed(row: &RowPlan) -> String {
    format!("removed, cores {} given back", list(&row.cores_before))
}

fn arrives(row: &RowPlan) -> String {
    let s = |count: usize| if count == 1 { "" } else { "s" };
    let (instances, threads) = (row.concurrency_after, row.threads_after);
    format!(
        "added, cores {}, {instances} instance{} of {threads} thread{}",
        list(&row.cores_after),
        s(instances),
        s(threads)
    )
}

fn list(set: &CpuSet) -> String {
    if set.is_empty() { "none".to_owned() } else { set.to_string() }
}

/// What is placed otherwise, then each other key that differs.
fn changed(row: &RowPlan, differences: &[DiffLine], arrow: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut placed = Vec::new();
    let mut pair = |key: &'static str, word: &str, before: String, after: String| {
        if before != after {
            placed.push(key);
            parts.push(format!("{word} {before} {arrow} {after}"));
        }
    };
    pair("cores", "cores", list(&row.cores_before), list(&row.cores_after));
    let (was, is) = (row.concurrency_before, row.concurrency_after);
    pair("concurrency", "instances", was.to_string(), is.to_string());
    let (was, is) = (row.threads_before, row.threads_after);
    pair("threads", "threads", was.to_string(), is.to_string());
    for difference in differences {
        if let DiffLine::Changed { model: Some(model), field, before, after } = difference
            && *model == row.model
            && !placed.contains(&field.as_str())
        {
            // the same cores by another request
            let asked = if ["cores", "concurrency", "threads"].contains(&field.as_str()) {
                " asked for"
            } else {
                ""
            };
            parts.push(format!("{field}{asked} {before} {arrow} {after}"));
        }
    }
    if row.rebuild {
        let time = row
            .last_build_us
            .map_or(String::new(), |us| format!(" (the last took {})", format::latency(us)));
        parts.push(format!("builds instances in the background{time}"));
    }
    if parts.is_empty() {
        parts.push(
            "stands elsewhere in the kernel's order, by the weights of its neighbours".into(),
        );
    }
    parts
}
