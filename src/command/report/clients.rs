//! The server's clients in the summary.

use std::fmt::Write;

use super::figures::count;
use crate::telemetry::{ServedModelView, Snapshot, text::refused_list};

/// Returns the requests from outside, one line per model; empty without a server.
pub(super) fn lines(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let Some(server) = &snapshot.server else { return text };
    if server.all_models().all(|model| model.requests == 0) {
        text.push_str("from outside: no request\n");
    }
    for model in server.all_models().filter(|model| model.requests > 0) {
        let name = if model.model.is_empty() { "no model" } else { &model.model };
        // writing to a string cannot fail
        let _ = writeln!(
            text,
            "from outside: {name}: {} answered{}",
            count(model.answered),
            refused(model)
        );
    }
    for (occurrences, what) in [
        (server.refused_connections, "refused because the limit was reached"),
        (server.accept_errors, "not accepted because of an error"),
    ] {
        if occurrences.count > 0 {
            let connections = if occurrences.count == 1 { "connection" } else { "connections" };
            let _ = writeln!(text, "{} {connections} {what}", count(occurrences.count));
        }
    }
    text
}

/// Returns the refused requests by reason.
fn refused(model: &ServedModelView) -> String {
    let counts: Vec<(String, u64)> =
        model.refused.iter().map(|refused| (refused.label(), refused.count)).collect();
    match model.refused_count() {
        0 => String::new(),
        all => format!(", {} refused: {}", count(all), refused_list(&counts)),
    }
}
