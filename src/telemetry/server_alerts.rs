//! Alerts about clients: requests that the server keeps refusing, and limits that are reached.

use super::model_view::{ModelState, ModelView};
use super::server_view::{RefusedRequests, ServerView};
use super::snapshot::{Alert, Snapshot};
use crate::layout::{Bytes, short_name};

/// From this number of recent requests on, refusals of one kind go on.
const MIN_REFUSED: u64 = 10;

/// Returns the alerts about clients; none without a server.
pub(super) fn server_alerts(snapshot: &Snapshot) -> Vec<Alert> {
    let Some(server) = &snapshot.server else { return Vec::new() };
    let mut texts = limit_texts(server);
    // a drain refuses on purpose
    if !server.is_draining {
        texts.extend(server.unknown_model.refused.iter().filter_map(unknown_model_text));
    }
    let mut alerts: Vec<Alert> =
        texts.into_iter().map(|text| Alert { model: None, text }).collect();
    for model in &snapshot.models {
        let name = &model.row.budget.name;
        let refused = server.model(name).map_or(&[][..], |served| &served.refused);
        for refused in refused.iter().filter(|refused| refused.recent >= MIN_REFUSED) {
            if let Some(text) = model_text(model, refused, server.is_draining) {
                alerts.push(Alert { model: Some(name.clone()), text });
            }
        }
    }
    alerts
}

/// Returns true if the server keeps refusing a model's requests because its queue is full.
pub(super) fn refuses_full_queue(snapshot: &Snapshot, model: &str) -> bool {
    let served = snapshot.server.as_ref().and_then(|server| server.model(model));
    let refused = served.map_or(&[][..], |served| &served.refused);
    refused.iter().any(|refused| refused.reason == "queue_full" && refused.recent >= MIN_REFUSED)
}

/// Returns the alerts about the limits of the whole server.
fn limit_texts(server: &ServerView) -> Vec<String> {
    let span = ServerView::RECENT_S;
    let mut texts = Vec::new();
    let refused = server.refused_connections.recent;
    if refused > 0 {
        texts.push(format!(
            "connection limit reached: {refused} refused in {span} s, {} of {} open; close idle clients \
             or raise the limit on connections",
            server.connections, server.connection_limit,
        ));
    }
    let failed = server.accept_errors.recent;
    if failed > 0 {
        let reason = server.newest_accept_error.as_deref().unwrap_or("the reason is unknown");
        texts.push(format!(
            "cannot accept connections ({failed} in {span} s): {reason}; if too many files are open, \
             raise the limit (ulimit -n)"
        ));
    }
    let is_full = |refused: &&RefusedRequests| refused.reason == "server_full";
    let full: u64 = server
        .all_models()
        .flat_map(|model| model.refused.iter().filter(is_full))
        .map(|refused| refused.recent)
        .sum();
    if full > 0 {
        texts.push(format!(
            "server full: {full} requests refused in {span} s, {} of {} in flight; raise the limit on \
             bytes in flight, or send smaller or fewer requests at once",
            Bytes(server.in_flight_bytes).rounded(),
            Bytes(server.in_flight_limit_bytes).rounded(),
        ));
    }
    texts
}

/// Returns the alert about requests whose model is unknown.
fn unknown_model_text(refused: &RefusedRequests) -> Option<String> {
    if refused.recent < MIN_REFUSED || refused.reason == "server_full" {
        return None;
    }
    let remedy = match refused.reason.as_str() {
        "no_such_model" => {
            "they name no model of the layout; compare the clients' names with the rows"
        }
        "unauthorized" => "they have no valid token; give the clients the token of the token file",
        "too_large" => "they exceed a limit on sizes; raise it, or send smaller requests",
        "slow_sender" => "they arrive too slowly; check the clients' network",
        _ => "the log and the clients' messages say more",
    };
    Some(format!("clients: {}: {remedy}", counted(refused)))
}

/// Returns the alert about refused requests of a model. `None` if another alert says it, or if the refusal
/// is intended.
fn model_text(model: &ModelView, refused: &RefusedRequests, drains: bool) -> Option<String> {
    let name = short_name(&model.row.budget.name);
    let paused = model.state == ModelState::Paused;
    let remedy = match refused.reason.as_str() {
        // alerts of their own
        "server_full" => return None,
        "queue_full" | "timed_out" if paused => return None,
        "unavailable" if drains || matches!(model.state, ModelState::Failed { .. }) => return None,
        "queue_full" => "give it cores or instances, or raise its queue limit",
        "timed_out" => "give it cores or instances, or a longer timeout",
        "over_memory" => "raise its `memory`, or send smaller requests",
        "bad_request" => "their tensors do not fit the model; correct the clients",
        "failed" => "the engine fails; the log says why",
        "cancelled" => "clients left before their answer; it may be too slow for their timeouts",
        "unavailable" => "it is starting or being removed",
        "too_large" => "they exceed a limit on sizes; raise it, or send smaller requests",
        _ => "the clients' messages say more",
    };
    Some(format!("{name}: {}: {remedy}", counted(refused)))
}

fn counted(refused: &RefusedRequests) -> String {
    let (count, reason) = (refused.recent, refused.label());
    format!("{reason}, {count} requests not served in {} s", ServerView::RECENT_S)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Occurrences, ServedModelView, alerts};

    fn refused(reason: &str, recent: u64) -> Vec<RefusedRequests> {
        vec![RefusedRequests { reason: reason.to_owned(), count: recent + 100, recent }]
    }

    /// Returns the alerts of a recording with a server and one model `m`.
    fn texts(server: ServerView, state: ModelState) -> Vec<String> {
        let recording = include_str!("../../tests/recordings/version-1.ndjson");
        let mut snapshot: Snapshot = serde_json::from_str(recording).unwrap();
        snapshot.models.truncate(1);
        let model = &mut snapshot.models[0];
        model.row.budget.name = "m".to_owned();
        (model.state, model.wait, model.row.budget.slo) = (state, None, None);
        model.counts.queued = model.row.budget.queue.limit as u64;
        snapshot.server = Some(server.into());
        alerts(&snapshot).into_iter().map(|alert| alert.text).collect()
    }

    fn server_refusing(reason: &str, recent: u64) -> ServerView {
        let model = ServedModelView {
            model: "m".to_owned(),
            refused: refused(reason, recent),
            ..ServedModelView::default()
        };
        ServerView { models: vec![model], ..ServerView::default() }
    }

    #[test]
    fn refused_requests_name_reason_with_remedy() {
        let server = server_refusing("queue_full", 23);
        assert_eq!(
            texts(server, ModelState::Running),
            [
                "m: queue full, 23 requests not served in 10 s: give it cores or instances, or raise its \
              queue limit"
            ]
        );
    }

    #[test]
    fn few_refused_requests_are_no_alert() {
        let few = texts(server_refusing("timed_out", 9), ModelState::Running);
        assert!(few.iter().all(|text| !text.contains("not served")), "{few:?}");
    }

    #[test]
    fn paused_queue_is_reported_once() {
        let paused = texts(server_refusing("queue_full", 50), ModelState::Paused);
        assert!(paused.iter().all(|text| !text.contains("not served")), "{paused:?}");
    }

    #[test]
    fn server_limits_are_reported() {
        let server = ServerView {
            connections: 8,
            connection_limit: 8,
            refused_connections: Occurrences { count: 5, recent: 4 },
            accept_errors: Occurrences { count: 2, recent: 2 },
            newest_accept_error: Some("Too many open files".to_owned()),
            unknown_model: ServedModelView {
                refused: refused("server_full", 1),
                ..ServedModelView::default()
            },
            ..ServerView::default()
        };
        let texts = texts(server, ModelState::Running);
        assert!(texts[0].starts_with("connection limit reached: 4 refused in 10 s, 8 of 8 open"));
        assert!(texts[1].contains("(2 in 10 s): Too many open files"), "{texts:?}");
        assert!(texts[2].starts_with("server full: 1 requests refused"), "{texts:?}");
    }

    #[test]
    fn old_refusals_are_no_alert() {
        let server = ServerView {
            refused_connections: Occurrences { count: 5, recent: 0 },
            unknown_model: ServedModelView {
                refused: refused("no_such_model", 0),
                ..ServedModelView::default()
            },
            ..server_refusing("over_memory", 0)
        };
        let texts = texts(server, ModelState::Running);
        assert!(texts.iter().all(|text| !text.contains("not served")), "{texts:?}");
    }
}
