//! The metrics of the server and its models at `/metrics`, in the text form of `OpenMetrics`.
//! `docs/metrics.md` lists them.

mod collector;
mod family_writer;
mod reading;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::http::wrong_method;
use super::state::ServerState;
use collector::StateCollector;

/// The media type of the text form.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Returns the route of the metrics. A scrape reads the counters then; nothing is kept up to date between
/// scrapes.
pub(super) fn routes(state: &Arc<ServerState>) -> Router {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(StateCollector::new(state.clone())));
    let registry = Arc::new(registry);
    Router::new()
        .route("/metrics", get(move || async move { answer(&registry) }))
        .method_not_allowed_fallback(wrong_method)
}

fn answer(registry: &Registry) -> Response {
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
