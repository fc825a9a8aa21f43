//! The changes that applying a saved layout would make: warnings first, then each row with its keys.

use crate::console::format;
use crate::console::state::ConsoleState;
use crate::console::view::canvas::{StyledLine, StyledText, flow};
use crate::layout::{Budget, DiffLine, Layout, Plan, RowPlan, plan_diff};
use crate::machine::CpuSet;

/// Returns the lines, at most `width` columns wide.
pub(super) fn lines(state: &ConsoleState, plan: &Plan, width: usize) -> Vec<StyledLine> {
    let theme = &state.theme;
    let mut lines: Vec<StyledLine> = Vec::new();
    for warning in &plan.warnings {
        lines.extend(flow(
            [("! ".to_owned(), theme.warn), (warning.clone(), theme.warn)],
            width,
            2,
        ));
    }
    if !lines.is_empty() {
        lines.push(StyledLine::new());
    }
    let models = state.snapshot.models.iter().map(|view| &view.row.budget);
    let models: Vec<Budget> =
        models.filter_map(|budget| Some(state.live(&budget.name)?.budget.clone())).collect();
    let before = Layout { description: plan.after.description.clone(), models };
    let differences = plan_diff(&before, plan);
    for row in &plan.rows {
        let is_removed = plan.after.row(&row.model).is_none();
        let (mark, what, style) =
            match (is_removed, row.renamed_from.is_none() && before.model(&row.model).is_none()) {
                (true, _) => ("-", vec![describe_removed(row)], theme.bad),
                (false, true) => ("+", vec![describe_added(row)], theme.good),
                (false, false) => {
                    (" ", describe_changes(row, &differences, state.glyphs.arrow), theme.text)
                }
            };
        let name = format::fit(&row.model, width / 2, state.glyphs.ellipsis);
        let mut parts: Vec<StyledText> =
            vec![(format!("{mark} "), style), (format!("{name}: "), theme.title)];
        let count = what.len();
        parts.extend(
            what.into_iter()
                .enumerate()
                .map(|(at, text)| (if at + 1 < count { format!("{text}, ") } else { text }, style)),
        );
        lines.extend(flow(parts, width, 4));
    }
    for difference in &differences {
        if let DiffLine::Changed { model: None, field, before, after } = difference {
            let text = format!("{before} {} {after}", state.glyphs.arrow);
            let parts = [(format!("  {field}: "), theme.title), (text, theme.text)];
            lines.extend(flow(parts, width, 4));
        }
    }
    lines
}

fn describe_removed(row: &RowPlan) -> String {
    format!("removed, cores {} become free", list(&row.cores_before))
}

fn describe_added(row: &RowPlan) -> String {
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

/// Returns what is placed elsewhere, then each other key that differs.
fn describe_changes(row: &RowPlan, differences: &[DiffLine], arrow: &str) -> Vec<String> {
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
            // the same placement by another request
            let asked = if ["cores", "concurrency", "threads"].contains(&field.as_str()) {
                " requested"
            } else {
                ""
            };
            parts.push(format!("{field}{asked} {before} {arrow} {after}"));
        }
    }
    if row.rebuild {
        let time = row
            .last_build_us
            .map_or(String::new(), |us| format!(" (the last build took {})", format::latency(us)));
        parts.push(format!("builds new instances in the background{time}"));
    }
    if parts.is_empty() {
        parts.push("new nice values, from the weights of the models that share its cores".into());
    }
    parts
}
