//! Publication of the owner's state: to the observer, to the load generators, and to callers.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::housekeeper::Housekeeper;
use super::models::LiveModels;
use crate::pool::Pool;
use crate::scheduler::messages::{ObserverMessage, SchedulerState};
use crate::scheduler::shared_state::{PublishedState, SharedState};
use crate::scheduler::slot::LoadOrder;
use crate::telemetry::{JournalEntry, Snapshot};

/// The shortest time between two states sent to the observer: it assembles a snapshot of each, and a
/// burst of changes must not wait for that.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// The receivers of the owner's state.
pub(super) struct Publisher {
    shared: SharedState,
    housekeeper: Housekeeper,
    observer: Sender<ObserverMessage>,
    loads: watch::Sender<Arc<Vec<LoadOrder>>>,
    /// True if the state has changed since it was last sent to the observer.
    is_stale: bool,
    last_sent: Option<Instant>,
}

impl Publisher {
    pub(super) fn new(
        shared: SharedState,
        housekeeper: Housekeeper,
        observer: Sender<ObserverMessage>,
        loads: watch::Sender<Arc<Vec<LoadOrder>>>,
    ) -> Self {
        Self { shared, housekeeper, observer, loads, is_stale: true, last_sent: None }
    }

    /// Notes that the state has changed.
    pub(super) fn mark_stale(&mut self) {
        self.is_stale = true;
    }

    /// Returns when the observer should get the state; `None` if it has the newest one.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let next = self.last_sent.map_or_else(Instant::now, |sent| sent + SHORTEST_INTERVAL);
        self.is_stale.then_some(next)
    }

    /// Sends the observer the state.
    pub(super) fn send_state(&mut self, models: &LiveModels, changes: Vec<Arc<JournalEntry>>) {
        let state = SchedulerState {
            desired: models.desired.clone(),
            description: models.description.clone(),
            slots: models.slots.clone(),
            changes,
        };
        // The observer survives its own panics and outlives the owner.
        let _ = self.observer.send(ObserverMessage::State(Box::new(state)));
        self.is_stale = false;
        self.last_sent = Some(Instant::now());
    }

    /// Stops the observer and returns its final snapshot; `None` if it could not assemble one.
    pub(super) fn stop_observer(&self) -> Option<Snapshot> {
        let (reply, answer) = mpsc::channel();
        // A panic while it assembles the snapshot drops the reply.
        let _ = self.observer.send(ObserverMessage::Stop(reply));
        answer.recv().ok()
    }

    /// Publishes the loads to run.
    pub(super) fn publish_loads(&self, models: &LiveModels) {
        let order = |row: &crate::layout::Row| models.slots.get(&row.budget.name)?.order(row);
        let orders = models.desired.rows.iter().filter_map(order).collect();
        self.loads.send_replace(Arc::new(orders));
    }

    /// Stops all loads.
    pub(super) fn stop_loads(&self) {
        self.loads.send_replace(Arc::new(Vec::new()));
    }

    /// Has the recorders of changed pools begin their metrics since the last change.
    pub(super) fn mark_change(&self, pools: Vec<Arc<Pool>>, at: Instant) {
        self.housekeeper.mark_change(pools, at);
    }

    /// Publishes the state that callers and the housekeeper read.
    pub(super) fn publish_state(&self, models: &LiveModels) {
        self.housekeeper.set_pools(models.slots.values().map(|slot| slot.pool.clone()).collect());
        let builds =
            models.slots.iter().filter_map(|(name, slot)| Some((name.clone(), slot.last_build?)));
        let clients = models.slots.iter().map(|(name, slot)| (name.clone(), slot.pool.client()));
        self.shared.replace(PublishedState {
            desired: models.desired.clone(),
            machine: models.description.clone(),
            last_builds: Arc::new(builds.collect()),
            clients: Arc::new(clients.collect()),
        });
    }
}
