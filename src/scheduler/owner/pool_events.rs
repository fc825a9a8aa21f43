//! The owner's reactions to events from the pools.

use super::enforce;
use super::models::LiveModels;
use super::own_change::OwnChange;
use super::rollback::FailedRow;
use crate::pool::PoolEvent;
use crate::scheduler::model_key::ModelKey;
use crate::scheduler::slot::FailedBuild;

/// Handles an event of a pool. Returns a rollback if a row has to go back to the instances that
/// serve.
pub(super) fn handle(
    models: &mut LiveModels,
    key: &ModelKey,
    event: PoolEvent,
) -> Option<OwnChange> {
    let name = models.slots.name_of(key)?;
    let slot = models.slots.get_mut(&name)?;
    let desired = models.desired.clone();
    match event {
        PoolEvent::Built(report) => {
            slot.last_build = Some(report.took);
            slot.failed_build = None;
            // It may have failed for lack of instances; now it has some.
            slot.revive();
            let mut rollback = None;
            if let Some(row) = desired.row(&name) {
                if slot.difference.is_some() {
                    let found = enforce::place(row, &desired, slot, &models.description);
                    enforce::note_differences(row, &desired, slot, &found);
                }
                // A change may have asked for more instances during the build.
                rollback = models.build(&name);
            }
            models.record_served(&name, report.setup);
            rollback
        }
        PoolEvent::PlacementMismatch { .. } => {
            let row = desired.row(&name)?;
            let found = enforce::place(row, &desired, slot, &models.description);
            enforce::note_differences(row, &desired, slot, &found);
            models.build(&name)
        }
        PoolEvent::BuildFailed { setup, reason, .. }
            if slot.pool.is_renewing() && slot.pool.setup() == Some(setup) =>
        {
            // The rebuild was only to raise the threads' priority: the old instances keep serving.
            tracing::error!("{name}: {reason}");
            slot.pool.keep();
            slot.renewals = enforce::MOST_RENEWALS;
            slot.difference = Some(format!(
                "its threads may not be raised to a lower nice value, and new instances could not be \
                 built: {reason}"
            ));
            None
        }
        PoolEvent::BuildFailed { setup, reason, .. } => {
            tracing::error!("{name}: {reason}");
            let failed = FailedBuild { setup, reason: reason.clone() };
            let message = failed.message();
            slot.failed_build = Some(failed);
            models.roll_back(&name, &FailedRow { setup: Some(setup), reason, message })
        }
        PoolEvent::InstanceLost { reason, .. } => {
            tracing::error!("{name}: an instance was lost: {reason}");
            if slot.has_no_instances_or_builds() {
                slot.fail(format!("its last instance was lost: {reason}"));
                return None;
            }
            // One more try, as a new build. If it fails, the model's `difference` says why.
            models.build(&name)
        }
    }
}
