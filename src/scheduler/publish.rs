//! What the owner lets others see: scenes for the observer, load orders, and the shelf that is read
//! without asking.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::observer::{ObserverMessage, SchedulerState};
use super::owner::{Owner, PublishedState};
use super::slot::LoadOrder;
use crate::layout::Plan;

impl Owner {
    /// Lets the observer see how things stand.
    pub(super) fn show(&mut self) {
        let scene = SchedulerState {
            desired: self.desired.clone(),
            description: self.description.clone(),
            slots: self.slots.clone(),
            changes: self.history.last_entries(),
        };
        // The observer goes on after a panic of its own, and ends after the last look only.
        let _ = self.observer.send(ObserverMessage::SchedulerState(Box::new(scene)));
        self.stale = false;
        self.told = Instant::now();
    }

    pub(super) fn publish_loads(&self) {
        let orders: Vec<LoadOrder> = self
            .desired
            .rows
            .iter()
            .filter_map(|row| self.slots.get(&row.budget.name)?.order(row))
            .collect();
        self.loads.send_replace(Arc::new(orders));
    }

    pub(super) fn publish_state(&self) {
        let builds =
            self.slots.iter().filter_map(|(name, slot)| Some((name.clone(), slot.last_build?)));
        let clients = self.slots.iter().map(|(name, slot)| (name.clone(), slot.pool.client()));
        let published = PublishedState {
            desired: self.desired.clone(),
            machine: self.description.clone(),
            last_builds: Arc::new(builds.collect()),
            clients: Arc::new(clients.collect()),
        };
        *self.shelf.write().unwrap_or_else(PoisonError::into_inner) = published;
    }

    pub(super) fn fill_builds(&self, plan: &mut Plan) {
        for row in &mut plan.rows {
            let took = self.slots.get(&row.model).and_then(|slot| slot.last_build);
            row.last_build_us = took.map(|took| took.as_micros() as u64);
        }
    }
}
