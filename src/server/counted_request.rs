//! The guard that counts a request of either protocol.

use std::sync::Arc;

use super::activity::{Connection, ModelActivity};
use super::serve_error::ErrorKind;
use super::state::ServerState;

/// A request that is counted when it ends: by [`CountedRequest::end`], or as cancelled when it is dropped
/// before.
pub struct CountedRequest {
    activity: Arc<ModelActivity>,
    connection: Option<Connection>,
    /// The outcome that counts on drop; `None` once it has been answered.
    outcome: Option<ErrorKind>,
}

impl CountedRequest {
    /// Begins a request to a model. `connection` is `None` if another program accepts the connections.
    pub fn begin(state: &ServerState, model: &str, connection: Option<&Connection>) -> Self {
        // A name that no model has is the client's own text: it is neither kept nor shown.
        let (activity, shown) = match state.models.get(model) {
            Some(_) => (state.activity.model(model), model),
            None => (state.activity.unknown_model().clone(), ""),
        };
        if let Some(connection) = connection {
            connection.begin_request(shown);
        }
        Self { activity, connection: connection.cloned(), outcome: Some(ErrorKind::Cancelled) }
    }

    /// Counts bytes of the request's body.
    pub fn add_received(&self, bytes: u64) {
        if let Some(connection) = &self.connection {
            connection.add_received(bytes);
        }
    }

    /// Ends the request: answered, or the kind of its error.
    pub fn end(mut self, error: Option<ErrorKind>) {
        self.outcome = error;
    }
}

impl Drop for CountedRequest {
    fn drop(&mut self) {
        self.activity.count(self.outcome);
        if let Some(connection) = &self.connection {
            connection.end_request();
        }
    }
}
