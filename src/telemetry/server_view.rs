//! The clients of the server in a snapshot: connections, and requests from outside per model.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A source of the server's metrics. The observer reads it for each sample.
pub trait ServerSource: Send + Sync {
    /// Returns the metrics of now. Never waits for a request.
    fn latest(&self) -> Arc<ServerView>;
}

/// The protocol of a listener or of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1 or HTTP/2 with JSON and binary tensors.
    Http,
    /// gRPC.
    Grpc,
}

/// The server at one instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServerView {
    /// The addresses on which it listens.
    pub listeners: Vec<ListenerView>,
    /// True once it takes no more requests.
    pub is_draining: bool,
    /// Open connections.
    pub connections: usize,
    /// The most connections that may be open.
    #[serde(default)]
    pub connection_limit: usize,
    /// Connections that were closed at once because the limit was reached.
    #[serde(default)]
    pub refused_connections: Occurrences,
    /// Connections that could not be accepted, for example because no file descriptor was free.
    #[serde(default)]
    pub accept_errors: Occurrences,
    /// The system's message of the newest accept error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_accept_error: Option<String>,
    /// The busiest open connections, busiest first; at most [`ServerView::LISTED_CONNECTIONS`].
    pub busiest: Vec<ConnectionView>,
    /// Requests from outside, sorted by the name of their model.
    pub models: Vec<ServedModelView>,
    /// Requests that name no model of the layout, or that ended before their model was known. Its name is
    /// empty.
    #[serde(default)]
    pub unknown_model: ServedModelView,
    /// Bytes of all requests and answers in flight.
    pub in_flight_bytes: u64,
    /// The bound on [`ServerView::in_flight_bytes`].
    pub in_flight_limit_bytes: u64,
}

/// The number of times that something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Occurrences {
    /// Since the start.
    pub count: u64,
    /// In the last [`ServerView::RECENT_S`] seconds.
    pub recent: u64,
}

/// One address on which the server listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ListenerView {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its address and port ("127.0.0.1:8000").
    pub address: String,
}

/// One connection of a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ConnectionView {
    /// Its number, unique in this run.
    pub id: u64,
    /// The client's address and port.
    pub peer: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// The model of its newest request; empty before the first one, or if there is no such model.
    pub model: String,
    /// Time since it was accepted.
    pub age_us: u64,
    /// Requests since it was accepted.
    pub requests: u64,
    /// Requests per second over the last second.
    pub requests_per_s: f64,
    /// Requests that have not been answered yet.
    pub open_requests: u64,
    /// Bytes of bodies received since it was accepted.
    pub received_bytes: u64,
    /// Bytes of bodies sent since it was accepted.
    pub sent_bytes: u64,
}

/// The requests from outside to the models of one name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServedModelView {
    /// The name.
    pub model: String,
    /// Ended requests since the start, whatever their outcome.
    pub requests: u64,
    /// Ended requests per second over the last second, whatever their outcome.
    pub requests_per_s: f64,
    /// Requests answered with tensors, since the start.
    pub answered: u64,
    /// Requests answered with tensors per second over the last second.
    #[serde(default)]
    pub answered_per_s: f64,
    /// Requests that ended otherwise, since the start, by reason; reasons without a request are left out.
    pub refused: Vec<RefusedRequests>,
}

/// The number of requests that were not answered with tensors, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RefusedRequests {
    /// The reason, as metrics and documents name it ("`queue_full`").
    pub reason: String,
    /// The number of requests since the start.
    pub count: u64,
    /// The number of requests in the last [`ServerView::RECENT_S`] seconds.
    #[serde(default)]
    pub recent: u64,
}

impl ServerView {
    /// The largest number of connections in a snapshot.
    pub const LISTED_CONNECTIONS: usize = 256;

    /// The length in seconds of the time that counts as recent. Shorter at the start.
    pub const RECENT_S: u64 = 10;

    /// Returns the requests from outside to a model; `None` if there were none.
    pub fn model(&self, name: &str) -> Option<&ServedModelView> {
        let at = self.models.binary_search_by(|model| model.model.as_str().cmp(name)).ok()?;
        self.models.get(at)
    }

    /// Returns the ended requests from outside per second over the last second, of all models.
    pub fn requests_per_s(&self) -> f64 {
        self.all_models().map(|model| model.requests_per_s).sum()
    }

    /// Returns the requests to the models, and those that name no model.
    pub fn all_models(&self) -> impl Iterator<Item = &ServedModelView> {
        self.models.iter().chain([&self.unknown_model])
    }
}

impl RefusedRequests {
    /// Returns the reason as a message shows it: "queue full".
    pub fn label(&self) -> String {
        self.reason.replace('_', " ")
    }
}

impl ServedModelView {
    /// Returns the number of requests refused in the last [`ServerView::RECENT_S`] seconds.
    pub fn recently_refused(&self) -> u64 {
        self.refused.iter().map(|refused| refused.recent).sum()
    }

    /// Returns the number of requests that were not answered with tensors, since the start.
    pub fn refused_count(&self) -> u64 {
        self.refused.iter().map(|refused| refused.count).sum()
    }
}
