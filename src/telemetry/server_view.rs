//! The clients of the server in a snapshot: connections, and requests from outside per model.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A source of the server's metrics. The observer reads it for each snapshot.
pub trait ServerSource: Send + Sync {
    /// Returns the metrics of the time since the last call. Never waits for a request.
    fn latest(&self) -> Arc<ServerView>;
}

/// The protocol of a listener or of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1 or HTTP/2 with JSON and binary tensors.
    Http,
    /// gRPC.
    Grpc,
}

/// The server at one instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerView {
    /// The addresses on which it listens.
    pub listeners: Vec<ListenerView>,
    /// True once it takes no more requests.
    pub is_draining: bool,
    /// Open connections.
    pub connections: usize,
    /// The busiest open connections, busiest first; at most [`ServerView::LISTED_CONNECTIONS`].
    pub busiest: Vec<ConnectionView>,
    /// Requests from outside, by the name of their model.
    pub models: Vec<ServedModelView>,
    /// Bytes of all requests and answers in flight.
    pub in_flight_bytes: u64,
    /// The bound on [`ServerView::in_flight_bytes`].
    pub in_flight_limit_bytes: u64,
}

/// One address on which the server listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerView {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its address and port ("127.0.0.1:8000").
    pub address: String,
}

/// One connection of a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectionView {
    /// Its number, unique in this run.
    pub id: u64,
    /// The client's address and port.
    pub peer: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// The model of its newest request; empty before the first one.
    pub model: String,
    /// Time since it was accepted.
    pub age_us: u64,
    /// Requests since it was accepted.
    pub requests: u64,
    /// Requests per second since the last snapshot.
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
pub struct ServedModelView {
    /// The name.
    pub model: String,
    /// Requests since the start, whatever their outcome.
    pub requests: u64,
    /// Requests per second since the last snapshot.
    pub requests_per_s: f64,
    /// Requests answered with tensors, since the start.
    pub answered: u64,
    /// Requests that ended otherwise, since the start, by reason; reasons without a request are left out.
    pub refused: Vec<RefusedRequests>,
}

/// The number of requests that were not answered with tensors, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRequests {
    /// The reason, as metrics and documents name it ("`queue_full`").
    pub reason: String,
    /// The number of requests.
    pub count: u64,
}

impl ServerView {
    /// The largest number of connections in a snapshot.
    pub const LISTED_CONNECTIONS: usize = 256;

    /// Returns the requests from outside to a model; `None` if there were none.
    pub fn model(&self, name: &str) -> Option<&ServedModelView> {
        self.models.iter().find(|model| model.model == name)
    }
}
