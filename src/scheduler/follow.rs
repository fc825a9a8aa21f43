//! The machine changes under us: cores come and go, threads are found elsewhere. The layout follows,
//! and says so in the journal.

use std::sync::Arc;
use std::time::Instant;

use super::force;
use super::owner::Owner;
use crate::layout::{Change, Edit};
use crate::machine::Description;
use crate::telemetry::Author;

impl Owner {
    /// Lets the layout follow a machine whose cores came or went under us.
    pub(super) fn follow_machine(&mut self, found: Description) {
        if found == *self.description {
            self.retry_masks();
            return;
        }
        self.description = Arc::new(found);
        let (after, sentences) = self.desired.refit(&self.description);
        if after == *self.desired {
            self.publish_state();
            self.retry_masks();
            return;
        }
        let mut plan = self.desired.plan_to(after, &self.description);
        plan.summary = format!("the machine changed: {}", plan.summary);
        plan.warnings.extend(sentences);
        let change = Change::from(Edit::Load { layout: Box::new(plan.after.layout()) });
        self.commit(plan, change, Author::Scheduler, Instant::now(), None);
    }

    /// Tries again to place threads that the kernel showed elsewhere. Those that others have moved
    /// are told first, and put back at the next look.
    fn retry_masks(&mut self) {
        for row in &self.desired.rows {
            let Some(slot) = self.slots.get_mut(&row.budget.name) else { continue };
            if slot.difference.is_some() {
                let found = force::place(row, &self.desired, slot, &self.description);
                if found.is_empty() {
                    slot.difference = None;
                }
                continue;
            }
            let strays = slot.pool.strays();
            if !strays.is_empty() {
                let told = strays.join("; ");
                tracing::warn!("{}: {told}; it is put back", row.budget.name);
                slot.difference = Some(told);
            }
        }
    }
}
