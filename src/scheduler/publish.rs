//! What the owner lets others see: samples, snapshots, load orders, and the shelf that is read
//! without asking.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::owner::{Owner, Published};
use super::slot::LoadOrder;
use crate::layout::Plan;
use crate::machine::{ThreadId, process_cpu_ns};

impl Owner {
    pub(super) fn sample(&mut self) {
        let now = Instant::now();
        let groups: Vec<Vec<ThreadId>> = self
            .desired
            .rows
            .iter()
            .map(|row| self.slots.get(&row.budget.name))
            .map(|slot| {
                slot.map_or_else(Vec::new, |slot| {
                    slot.pool.members().iter().map(|member| member.id).collect()
                })
            })
            .collect();
        self.usage = self.sensor.sample(&*self.machine, &groups, now);
        let process = process_cpu_ns();
        if self.usage.interval_us > 0 {
            let spent = process.saturating_sub(self.process_cpu_ns) as f64;
            self.process_cpu = spent / (self.usage.interval_us as f64 * 1e3);
        }
        self.process_cpu_ns = process;
        self.shrink_idle();
        for slot in self.slots.values_mut() {
            let counts = slot.pool.counts();
            let lost = counts.rejected + counts.timed_out + counts.failed;
            slot.pool.recorder().tick(now, lost - slot.lost_before);
            slot.lost_before = lost;
        }
    }

    pub(super) fn publish_snapshot(&mut self) {
        let snapshot = self.assemble();
        self.snapshots.send_replace(Arc::new(snapshot));
        self.stale = false;
        self.published = Instant::now();
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
        let published = Published {
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
