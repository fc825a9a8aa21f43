//! The limits of the server: what it accepts from clients.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The limits of the server. A request that exceeds one is refused before it costs anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerLimits {
    /// The largest body of a request in bytes, decompressed.
    pub body: u64,
    /// The largest head of an HTTP request (request line and headers) in bytes.
    pub header: u64,
    /// The most open connections of all listeners.
    pub connections: usize,
    /// The most bytes of all requests and answers in flight.
    pub in_flight: u64,
    /// The longest time that the head or the body of one request may take to arrive.
    pub receive_timeout: Duration,
    /// The longest time in which a client takes nothing of an answer.
    pub send_timeout: Duration,
    /// The longest time that a connection stays open without a request.
    pub idle_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            body: 64 << 20,
            header: 16 << 10,
            connections: 1024,
            in_flight: 1 << 30,
            receive_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(5),
        }
    }
}
