//! Changes of the machine during a run: cores that come or go, and threads that were moved from
//! outside.

use std::sync::Arc;

use super::enforce;
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
    models.description = Arc::new(found);
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

/// Places threads again that the kernel showed elsewhere. Threads that were moved from outside are
/// reported first and restored at the next check.
fn restore_threads(models: &mut LiveModels) {
    for row in &models.desired.rows {
        let Some(slot) = models.slots.get_mut(&row.budget.name) else { continue };
        if slot.difference.is_some() {
            let found = enforce::place(row, &models.desired, slot, &models.description);
            if found.is_empty() {
                slot.difference = None;
            }
            continue;
        }
        let strays = slot.pool.strays();
        if !strays.is_empty() {
            let strays = strays.join("; ");
            tracing::warn!("{}: {strays}; restoring it", row.budget.name);
            slot.difference = Some(strays);
        }
    }
}
