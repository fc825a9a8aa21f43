//! Models that go: what they have is answered, out of the way of those that take their cores.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::owner::Owner;
use super::slot::Slot;
use crate::layout::Desired;
use crate::machine::CpuSet;

impl Owner {
    /// Drains a pool in the background; what waits is answered, what cannot be is rejected.
    pub(super) fn retire(&mut self, slot: Slot) {
        self.leaving.push(Arc::downgrade(&slot.pool));
        let spawned = std::thread::Builder::new().name("divvy-drain".to_owned()).spawn(move || {
            if !slot.pool.drain(Duration::from_secs(10)) {
                tracing::warn!("a removed model still runs a request; its thread ends with it");
            }
        });
        if let Err(error) = spawned {
            tracing::error!("cannot start a thread to drain a model: {error}");
        }
    }

    /// Moves what is left of models that went off the cores that `after` reserves: where there are
    /// none but those, it stays on all.
    pub(super) fn clear_way(&mut self, after: &Desired) {
        self.leaving.retain(|pool| pool.strong_count() > 0);
        let reserving = after.rows.iter().filter(|row| row.budget.reserve);
        let reserved = reserving.fold(CpuSet::EMPTY, |all, row| all.union(&row.cores));
        let allowed = self.description.limits.allowed;
        for pool in self.leaving.iter().filter_map(Weak::upgrade) {
            let choices = [pool.mask().intersection(&allowed), allowed];
            let clear = choices.iter().map(|cores| cores.difference(&reserved));
            let mask = clear.into_iter().find(|cores| !cores.is_empty()).unwrap_or(allowed);
            if pool.mask() != mask {
                for reason in pool.pin(mask) {
                    tracing::warn!("a model that goes is in the way: {reason}");
                }
            }
        }
    }
}
