//! What pools tell the owner from their own threads.

use super::force;
use super::owner::Owner;
use crate::pool::PoolEvent;

impl Owner {
    /// Acts on what a pool tells, where that pool is still the model's.
    pub(super) fn pool_event(&mut self, name: &str, epoch: u64, event: PoolEvent) {
        let Some(slot) = self.slots.get_mut(name).filter(|slot| slot.epoch == epoch) else {
            return;
        };
        let desired = self.desired.clone();
        match event {
            PoolEvent::Built(report) => {
                slot.last_build = Some(report.took);
                slot.failed_setup = None;
                // It may have been given up for want of instances, which are there now.
                slot.revive();
                if let Some(row) = desired.row(name) {
                    if slot.difference.is_some() {
                        let found = force::place(row, &desired, slot, &self.description);
                        force::settle(row, &desired, slot, &found);
                    }
                    // A change may have asked for more while the batch was on its way.
                    self.build(row);
                }
                self.note_served(name, report.setup);
                self.publish_state();
                self.publish_loads();
            }
            PoolEvent::Elsewhere { .. } => {
                if let Some(row) = desired.row(name) {
                    let found = force::place(row, &desired, slot, &self.description);
                    force::settle(row, &desired, slot, &found);
                    self.build(row);
                }
            }
            PoolEvent::BuildFailed { setup, reason, .. }
                if slot.pool.is_renewing() && slot.pool.setup() == Some(setup) =>
            {
                // Only the threads' standing was to be another: what serves goes on to serve.
                tracing::error!("{name}: {reason}");
                slot.pool.keep();
                slot.renewals = force::MOST_RENEWALS;
                slot.difference = Some(format!(
                    "its threads may not rise, and new instances could not be built: {reason}"
                ));
            }
            PoolEvent::BuildFailed { setup, reason, .. } => {
                tracing::error!("{name}: {reason}");
                slot.failed_setup = Some((setup, reason.clone()));
                self.build_failed(name, setup, &reason);
            }
            PoolEvent::InstanceLost { reason, .. } => {
                tracing::error!("{name}: an instance was lost: {reason}");
                if slot.has_no_instances_or_builds() {
                    slot.fail(format!("its last instance was lost: {reason}"));
                    self.publish_loads();
                } else if let Some(row) = desired.row(name) {
                    // One more try, as a batch: where that fails the screen says why.
                    self.build(row);
                }
            }
        }
    }
}
