//! A plan in one line, for the footer and the row editor.

use crate::console::format;
use crate::layout::Plan;

/// Returns what a plan changes, what it builds, and its warnings.
pub(super) fn describe_plan(plan: &Plan) -> String {
    let mut text = plan.summary.clone();
    for change in plan.rows.iter().filter(|change| change.rebuild) {
        let row = plan.after.row(&change.model);
        let Some(gpu) = row.and_then(|row| row.budget.gpu.as_ref()) else { continue };
        let last = change.last_build_us.map_or_else(String::new, |us| {
            format!(", where the last build took {}", format::latency(us))
        });
        text = format!("{text}; {} is first built on {}{last}", change.model, gpu.title());
    }
    for warning in &plan.warnings {
        text = format!("{text}; {warning}");
    }
    text
}
