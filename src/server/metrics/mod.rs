//! The metrics of the server and its models at `/metrics`, in the text form of `OpenMetrics`.
//! `docs/metrics.md` lists them.

mod collector;
mod family_writer;
mod reading;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::http::wrong_method;
use super::state::ServerState;

/// The media type of the text form.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Room for the growth of a text since the last one, in bytes.
const GROWTH: usize = 4 << 10;

/// Returns the route of the metrics. A scrape reads the counters then; nothing but the size of the text is kept
/// between scrapes.
pub(super) fn routes(state: &Arc<ServerState>) -> Router {
    let state = state.clone();
    let size = Arc::new(AtomicUsize::new(0));
    Router::new()
        .route("/metrics", get(move || async move { answer(&state, &size) }))
        .method_not_allowed_fallback(wrong_method)
}

fn answer(state: &ServerState, size: &AtomicUsize) -> Response {
    let mut text = String::with_capacity(size.load(Ordering::Relaxed) + GROWTH);
    match collector::write_metrics(state, &mut text) {
        Ok(()) => {
            size.store(text.len(), Ordering::Relaxed);
            ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
