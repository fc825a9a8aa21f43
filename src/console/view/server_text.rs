//! Sentences about the server and its clients.

use super::canvas::StyledText;
use crate::console::format;
use crate::console::state::{ConsoleState, protocol_name};
use crate::telemetry::text::refused_list;
use crate::telemetry::{RefusedRequests, ServerView};

/// Returns the addresses: "http 127.0.0.1:8000, grpc 127.0.0.1:8001".
pub(super) fn listeners(server: &ServerView) -> String {
    if server.listeners.is_empty() {
        return "not listening".to_owned();
    }
    let address = |listener: &crate::telemetry::ListenerView| {
        format!("{} {}", protocol_name(listener.protocol), listener.address)
    };
    server.listeners.iter().map(address).collect::<Vec<_>>().join(", ")
}

/// Returns the number of clients: "12 clients".
pub(super) fn clients(server: &ServerView) -> String {
    format::counted(server.connections, "client")
}

/// Returns the number of clients and their limit: "12 of 1024 clients".
pub(super) fn clients_of(server: &ServerView) -> String {
    let drains = if server.is_draining { ", draining" } else { "" };
    match server.connection_limit {
        0 => format!("{}{drains}", clients(server)),
        limit => format!("{} of {limit} clients{drains}", server.connections),
    }
}

/// From this number of columns on, the totals are sentences.
pub(super) const WIDE: u16 = 60;

/// True if refused requests are listed by reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasons {
    /// The list has room.
    Listed,
    /// Only their number is shown.
    Hidden,
}

/// Returns the totals for a narrow screen: "12, 430.5 req/s, 42 refused".
pub(super) fn brief(state: &ConsoleState, server: &ServerView) -> Vec<StyledText> {
    let theme = &state.theme;
    let rate = format::rate(server.requests_per_s());
    let mut parts = vec![(format!("{}, {rate} req/s", server.connections), theme.text)];
    let refused = refused_recently(server);
    if refused > 0 {
        parts.push((format!(", {refused} refused"), theme.bad));
    }
    parts
}

/// Returns the traffic of now: requests per second, recently refused requests, and bytes in flight.
pub(super) fn traffic(
    state: &ConsoleState,
    server: &ServerView,
    reasons: Reasons,
) -> Vec<StyledText> {
    let theme = &state.theme;
    let mut parts = vec![(rate(server), theme.text)];
    let recent = recent(server);
    let refused: u64 = recent.iter().map(|(_, count)| count).sum();
    if refused > 0 {
        let span = ServerView::RECENT_S;
        let list = match reasons {
            Reasons::Listed => format!(": {}", refused_list(&recent)),
            Reasons::Hidden => String::new(),
        };
        parts.push((format!("{refused} refused in {span} s{list}"), theme.bad));
    }
    parts.push((in_flight(server), theme.dim));
    parts
}

/// Returns the requests from outside per second: "412.0 req/s from outside".
fn rate(server: &ServerView) -> String {
    format!("{} req/s from outside", format::rate(server.requests_per_s()))
}

/// Returns the bytes in flight: "3M of 1024M in flight".
fn in_flight(server: &ServerView) -> String {
    let limit = format::bytes(server.in_flight_limit_bytes);
    format!("{} of {limit} in flight", format::traffic(server.in_flight_bytes))
}

/// Returns the number of recently refused requests.
fn refused_recently(server: &ServerView) -> u64 {
    recent(server).iter().map(|(_, count)| count).sum()
}

/// Returns the refused requests since the start by reason; empty if there are none.
pub(super) fn refused_since_start(server: &ServerView) -> String {
    let counts = by_reason(server, |refused| refused.count);
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return String::new();
    }
    format!("{total} refused since the start: {}", refused_list(&counts))
}

fn recent(server: &ServerView) -> Vec<(String, u64)> {
    by_reason(server, |refused| refused.recent)
}

/// Returns the refused requests of all models by reason, most first.
fn by_reason(server: &ServerView, count: fn(&RefusedRequests) -> u64) -> Vec<(String, u64)> {
    let mut counts: Vec<(String, u64)> = Vec::new();
    for refused in server.all_models().flat_map(|model| &model.refused) {
        let number = count(refused);
        let label = refused.label();
        match counts.iter_mut().find(|(known, _)| *known == label) {
            Some((_, sum)) => *sum += number,
            None => counts.push((label, number)),
        }
    }
    counts.retain(|(_, count)| *count > 0);
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}
