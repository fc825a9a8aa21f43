//! The part of the owner's state that callers read without a message to the owner.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::layout::{Budget, DesiredState, Plan};
use crate::machine::Description;
use crate::pool::Client;
use crate::telemetry::StateVersion;

/// One published state.
#[derive(Clone, Default)]
pub(super) struct PublishedState {
    pub(super) version: StateVersion,
    pub(super) desired: Arc<DesiredState>,
    pub(super) machine: Arc<Description>,
    /// Duration of the last build, by model.
    pub(super) last_builds: Arc<BTreeMap<String, Duration>>,
    pub(super) clients: Arc<BTreeMap<String, Client>>,
}

impl PublishedState {
    /// Fills in how long the last build of each row of a plan took.
    pub(super) fn add_build_times(&self, plan: &mut Plan) {
        for row in &mut plan.rows {
            let took = self.last_builds.get(&row.model);
            row.last_build_us = took.map(|took| took.as_micros() as u64);
        }
    }
}

/// The cell of the published state, as the scheduler holds it. Once the last one is dropped, readers find
/// an empty state.
#[derive(Clone)]
pub(super) struct SharedState(Arc<OwnedCell>);

impl SharedState {
    pub(super) fn new(first: PublishedState) -> Self {
        Self(Arc::new(OwnedCell(StateReader(Arc::new(ArcSwap::from_pointee(first))))))
    }

    /// Returns a reader, which may outlive the scheduler and keeps none of its models then.
    pub(super) fn reader(&self) -> StateReader {
        self.0.0.clone()
    }

    pub(super) fn read(&self) -> Arc<PublishedState> {
        self.0.0.0.load_full()
    }

    pub(super) fn replace(&self, state: PublishedState) {
        self.0.0.0.store(Arc::new(state));
    }
}

/// Empties the cell when it is dropped.
struct OwnedCell(StateReader);

impl Drop for OwnedCell {
    fn drop(&mut self) {
        self.0.0.store(Arc::default());
    }
}

/// Reads the published state. Readers take no lock and count no reference of the state, so many threads
/// can find their models at once, and the owner, which has a real-time priority, waits for none of them.
#[derive(Clone)]
pub(super) struct StateReader(Arc<ArcSwap<PublishedState>>);

impl StateReader {
    /// Returns the client of the model that has a name now.
    pub(super) fn client(&self, name: &str) -> Option<Client> {
        self.0.load().clients.get(name).cloned()
    }

    /// Returns the clients of all models by name.
    pub(super) fn clients(&self) -> Arc<BTreeMap<String, Client>> {
        self.0.load().clients.clone()
    }

    /// Returns a value of the row of the model that has a name now.
    pub(super) fn of_row<T>(&self, name: &str, read: impl FnOnce(&Budget) -> T) -> Option<T> {
        self.0.load().desired.row(name).map(|row| read(&row.budget))
    }

    /// Returns true if a model has the name now.
    pub(super) fn has_model(&self, name: &str) -> bool {
        self.0.load().clients.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_keep_no_dropped_state() {
        let machine = Arc::new(Description::default());
        let first = PublishedState { machine: machine.clone(), ..PublishedState::default() };
        let state = SharedState::new(first);
        let (owner, reader) = (state.clone(), state.reader());
        drop(state);
        assert_eq!(Arc::strong_count(&machine), 2, "the owner holds it");
        drop(owner);
        assert_eq!(Arc::strong_count(&machine), 1);
        assert!(!reader.has_model("m"));
    }
}
