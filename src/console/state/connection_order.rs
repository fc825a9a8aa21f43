//! The order and the filter of the list of connections.

use std::cmp::Ordering;

use super::console_state::ConsoleState;
use super::sorting::SortDirection;
use crate::telemetry::{ConnectionView, Protocol};

/// The key that connections are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionKey {
    /// Most requests per second first.
    #[default]
    Rate,
    /// By address.
    Peer,
    /// By protocol.
    Protocol,
    /// By the name of the model.
    Model,
    /// Most open requests first.
    Open,
    /// Most requests first.
    Requests,
    /// Most bytes received first.
    Received,
    /// Most bytes sent first.
    Sent,
    /// Oldest first.
    Age,
}

impl ConnectionKey {
    /// The keys that the sort command cycles through.
    const CYCLE: [Self; 9] = [
        Self::Rate,
        Self::Peer,
        Self::Protocol,
        Self::Model,
        Self::Open,
        Self::Requests,
        Self::Received,
        Self::Sent,
        Self::Age,
    ];

    /// Returns the key's name for a title.
    fn name(self) -> &'static str {
        match self {
            Self::Rate => "req/s",
            Self::Peer => "peer",
            Self::Protocol => "protocol",
            Self::Model => "model",
            Self::Open => "open requests",
            Self::Requests => "requests",
            Self::Received => "bytes in",
            Self::Sent => "bytes out",
            Self::Age => "age",
        }
    }

    /// Returns true if the key sorts in ascending order at first.
    fn rises(self) -> bool {
        matches!(self, Self::Peer | Self::Protocol | Self::Model)
    }

    /// Compares two connections in ascending order.
    fn compare(self, a: &ConnectionView, b: &ConnectionView) -> Ordering {
        match self {
            Self::Rate => a.requests_per_s.total_cmp(&b.requests_per_s),
            Self::Peer => a.peer.cmp(&b.peer),
            Self::Protocol => a.protocol.cmp(&b.protocol),
            Self::Model => a.model.cmp(&b.model),
            Self::Open => a.open_requests.cmp(&b.open_requests),
            Self::Requests => a.requests.cmp(&b.requests),
            Self::Received => a.received_bytes.cmp(&b.received_bytes),
            Self::Sent => a.sent_bytes.cmp(&b.sent_bytes),
            Self::Age => a.age_us.cmp(&b.age_us),
        }
    }
}

/// The order of the connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionOrder {
    key: ConnectionKey,
    direction: SortDirection,
}

impl ConnectionOrder {
    /// Returns the sort key.
    pub fn key(self) -> ConnectionKey {
        self.key
    }

    /// Returns true if the order is ascending.
    pub fn rising(self) -> bool {
        self.key.rises() == (self.direction == SortDirection::Usual)
    }

    /// Returns a description for the screen's title: "by req/s, most first".
    pub fn words(self) -> String {
        let first = match (self.key.rises(), self.rising()) {
            (true, true) => "a to z",
            (true, false) => "z to a",
            (false, true) => "least first",
            (false, false) => "most first",
        };
        format!("by {}, {first}", self.key.name())
    }

    /// Sorts by the next key.
    pub(super) fn sort_by_next(&mut self) {
        let all = ConnectionKey::CYCLE;
        let at = all.iter().position(|key| *key == self.key).unwrap_or(0);
        let key = all.get((at + 1) % all.len()).copied().unwrap_or_default();
        *self = Self { key, direction: SortDirection::Usual };
    }

    /// Sorts by the key of a clicked title; a second click reverses the order.
    pub(super) fn sort_by_title(&mut self, key: ConnectionKey) {
        let direction =
            if self.key == key { self.direction.turned() } else { SortDirection::Usual };
        *self = Self { key, direction };
    }
}

/// Returns the name of a protocol.
pub fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "http",
        Protocol::Grpc => "grpc",
    }
}

impl ConsoleState {
    /// Returns the listed connections whose peer, model or protocol contains the filter, in order.
    pub fn connections(&self) -> Vec<&ConnectionView> {
        let wanted = self.filter.to_lowercase();
        let matches = |connection: &&ConnectionView| {
            [&*connection.peer, &*connection.model, protocol_name(connection.protocol)]
                .iter()
                .any(|text| text.to_lowercase().contains(&wanted))
        };
        let all = self.snapshot.server.iter().flat_map(|server| &server.busiest);
        let mut listed: Vec<&ConnectionView> = all.filter(matches).collect();
        let order = self.connection_order;
        listed.sort_by(|a, b| {
            let rising = order.key.compare(a, b);
            if order.rising() { rising } else { rising.reverse() }
        });
        listed
    }
}
