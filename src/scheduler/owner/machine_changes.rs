//! Changes of the machine during a run: cores that come or go, and threads whose mask or nice value
//! was changed from outside.

use super::enforce;
use super::lend;
use super::models::LiveModels;
use super::own_change::{OwnChange, OwnChangeReason};
use crate::layout::{Change, Edit};
use crate::machine::Description;

/// Adapts the models to the machine as it was found. Returns the change to make if the layout no
/// longer fits it.
pub(super) fn follow(models: &mut LiveModels, found: Description) -> Option<OwnChange> {
    if found == *models.description {
        restore_threads(models);
        return None;
    }
    models.replace_machine(found);
    lend::end_all_loans(models);
    let (after, sentences) = models.desired.refit(&models.description);
    if after == *models.desired {
        restore_threads(models);
        return None;
    }
    let mut plan = models.desired.plan_to(after, &models.description);
    plan.summary = format!("the machine changed: {}", plan.summary);
    plan.warnings.extend(sentences);
    let change = Change::from(Edit::Load { layout: Box::new(plan.after.layout()) });
    Some(OwnChange { reason: OwnChangeReason::MachineChanged, plan, change })
}

/// Sets the masks and nice values of threads again that differ in the kernel. What was changed from
/// outside is reported first and restored at the next check.
fn restore_threads(models: &mut LiveModels) {
    for row in &models.desired.rows {
        let Some(slot) = models.slots.get_mut(&row.budget.name) else { continue };
        if slot.difference.is_some() {
            let found = enforce::place(row, &models.desired, slot, &models.description);
            if found.is_empty() {
                slot.difference = None;
            } else if slot.renewals == 0 {
                slot.difference = Some(found.join("; "));
            }
            continue;
        }
        let strays = slot.workload.strays();
        if !strays.is_empty() {
            let strays = strays.join("; ");
            tracing::warn!("{}: {strays}; it will be restored", row.budget.name);
            slot.difference = Some(strays);
        }
    }
}
