//! Publication of the owner's state: to the observer, to the load generators, and to callers.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::housekeeper::Housekeeper;
use super::models::LiveModels;
use crate::pool::Client;
use crate::scheduler::messages::{ChangeLog, SchedulerState};
use crate::scheduler::observer_channel::ObserverSender;
use crate::scheduler::shared_state::{PublishedState, SharedState};
use crate::scheduler::slot::{LoadOrder, Slot, Slots};
use crate::scheduler::workload::Workload;
use crate::telemetry::Snapshot;

/// The shortest time between two states sent to the observer, so that a burst of changes does not
/// wait for a copy of the state after each.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// The receivers of the owner's state.
pub(super) struct Publisher {
    shared: SharedState,
    housekeeper: Housekeeper,
    observer: ObserverSender,
    loads: watch::Sender<Arc<Vec<LoadOrder>>>,
    models: PublishedModels,
    /// True if the state has changed since it was last sent to the observer.
    is_stale: bool,
    /// When it was last sent, or was due while the observer had not taken the one before.
    last_tried: Option<Instant>,
}

impl Publisher {
    pub(super) fn new(
        shared: SharedState,
        housekeeper: Housekeeper,
        observer: ObserverSender,
        loads: watch::Sender<Arc<Vec<LoadOrder>>>,
    ) -> Self {
        Self {
            shared,
            housekeeper,
            observer,
            loads,
            models: PublishedModels::default(),
            is_stale: true,
            last_tried: None,
        }
    }

    /// Notes that the state has changed.
    pub(super) fn mark_stale(&mut self) {
        self.is_stale = true;
    }

    /// Returns when the observer should get the state; `None` if it has the newest one.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let next = self.last_tried.map_or_else(Instant::now, |tried| tried + SHORTEST_INTERVAL);
        self.is_stale.then_some(next)
    }

    /// Returns true if the observer should get the state now. If it has not taken the one before, the
    /// state is due again later.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        if self.next_due().is_none_or(|due| due > now) {
            return false;
        }
        let is_ready = self.observer.is_ready();
        if !is_ready {
            self.last_tried = Some(now);
        }
        is_ready
    }

    /// Sends the observer the state.
    pub(super) fn send_state(&mut self, models: &LiveModels, changes: ChangeLog) {
        let state = SchedulerState {
            version: models.version,
            desired: models.desired.clone(),
            description: models.description.clone(),
            slots: models.slots.clone(),
            loans: models.loans.views(&models.slots),
            changes,
        };
        self.observer.send_state(state);
        self.is_stale = false;
        self.last_tried = Some(Instant::now());
    }

    /// Stops the observer and returns its final snapshot; `None` if it could not assemble one.
    pub(super) fn stop_observer(&self) -> Option<Snapshot> {
        let (reply, answer) = mpsc::channel();
        // A panic while it assembles the snapshot drops the reply.
        self.observer.stop(reply);
        answer.recv().ok()
    }

    /// Publishes the loads to run, if they are not those published last.
    pub(super) fn publish_loads(&self, models: &LiveModels) {
        let order = |row: &crate::layout::Row| models.slots.get(&row.budget.name)?.order(row);
        let orders: Vec<LoadOrder> = models.desired.rows.iter().filter_map(order).collect();
        self.loads.send_if_modified(|published| {
            let is_same = published.len() == orders.len()
                && published.iter().zip(&orders).all(|(old, new)| old.is_same(new));
            if !is_same {
                *published = Arc::new(orders);
            }
            !is_same
        });
    }

    /// Stops all loads.
    pub(super) fn stop_loads(&self) {
        self.loads.send_replace(Arc::new(Vec::new()));
    }

    /// Has the recorders of changed workloads begin their metrics since the last change.
    pub(super) fn mark_change(&self, changed: Vec<Arc<dyn Workload>>, at: Instant) {
        self.housekeeper.mark_change(changed, at);
    }

    /// Publishes the state that callers and the housekeeper read.
    pub(super) fn publish_state(&mut self, models: &LiveModels) {
        if !self.models.is_of(&models.slots) {
            self.models = PublishedModels::new(&models.slots);
            let workloads = models.slots.values().map(|slot| slot.workload.clone()).collect();
            self.housekeeper.set_workloads(workloads);
        }
        self.shared.replace(PublishedState {
            version: models.version,
            desired: models.desired.clone(),
            machine: models.description.clone(),
            last_builds: self.models.last_builds.clone(),
            clients: self.models.clients.clone(),
        });
    }
}

/// The published values of the slots. They are kept while the slots stay the same, so that a change
/// costs nothing for the rows that it does not touch.
#[derive(Default)]
struct PublishedModels {
    keys: Vec<PublishedKey>,
    last_builds: Arc<BTreeMap<String, Duration>>,
    clients: Arc<BTreeMap<String, Client>>,
}

/// The values of a slot on which its published values depend.
struct PublishedKey {
    name: String,
    generation: u64,
    last_build: Option<Duration>,
}

impl PublishedModels {
    fn new(slots: &Slots) -> Self {
        let key = |(name, slot): (&String, &Slot)| PublishedKey {
            name: name.clone(),
            generation: slot.generation,
            last_build: slot.last_build,
        };
        let builds = slots.iter().filter_map(|(name, slot)| Some((name.clone(), slot.last_build?)));
        let client =
            |(name, slot): (&String, &Slot)| Some((name.clone(), slot.pool.as_ref()?.client()));
        Self {
            keys: slots.iter().map(key).collect(),
            last_builds: Arc::new(builds.collect()),
            clients: Arc::new(slots.iter().filter_map(client).collect()),
        }
    }

    /// Returns true if these are the values of the slots.
    fn is_of(&self, slots: &Slots) -> bool {
        let is_same = |(key, (name, slot)): (&PublishedKey, (&String, &Slot))| {
            key.generation == slot.generation
                && key.last_build == slot.last_build
                && key.name == *name
        };
        self.keys.len() == slots.len() && self.keys.iter().zip(slots.iter()).all(is_same)
    }
}
