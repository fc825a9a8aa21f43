//! The models of a running scheduler by name, for servers.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::model_client::ModelClient;
use super::shared_state::{SharedState, StateReader};
use crate::pool::Client;
use crate::telemetry::Snapshot;

/// Finds the models of a scheduler by name. It keeps no model of a dropped scheduler in memory. Cheap to
/// clone.
#[derive(Clone)]
pub struct ModelDirectory {
    state: StateReader,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl ModelDirectory {
    pub(super) fn new(state: &SharedState, snapshots: watch::Receiver<Arc<Snapshot>>) -> Self {
        Self { state: state.reader(), snapshots }
    }

    /// Returns the client of the model that has a name now; `None` if there is none.
    pub fn get(&self, name: &str) -> Option<Client> {
        self.state.client(name)
    }

    /// Returns the clients of all models by name; empty once the scheduler has been dropped.
    pub fn all(&self) -> Arc<BTreeMap<String, Client>> {
        self.state.clients()
    }

    /// Returns a client of the models that have a name, from now on; `None` if no model has it now.
    pub fn client(&self, name: &str) -> Option<ModelClient> {
        let has_model = self.state.has_model(name);
        has_model.then(|| ModelClient::with_state(name, self.state.clone()))
    }

    /// Returns the version under which a model is served now; `None` if there is no such model.
    pub fn version(&self, name: &str) -> Option<String> {
        self.state.of_row(name, |row| row.version.clone())
    }

    /// Returns the number of priorities that the requests of a model may have, 1 to 100; `None` if there is
    /// no such model.
    pub fn priority_levels(&self, name: &str) -> Option<u8> {
        self.state.of_row(name, |row| row.queue.levels)
    }

    /// Returns the stream of snapshots, with the state of each model.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Returns the newest snapshot, with the state of each model.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }
}
