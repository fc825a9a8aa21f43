//! Metadata, configuration, statistics and readiness of the server and its models.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error_answer::{error_answer, json_answer, message_answer};
use crate::server::serve_error::{ErrorKind, ServeError};
use crate::server::state::ServerState;
use crate::server::statistics::ModelStatistics;

/// Returns an answer of a value as JSON.
fn answer(value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(json) => json_answer(StatusCode::OK, json),
        Err(error) => message_answer(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn answer_result(value: Result<impl Serialize, ServeError>) -> Response<Body> {
    match value {
        Ok(value) => answer(&value),
        Err(error) => error_answer(&error),
    }
}

/// Returns an empty answer: 200 if `ready`, else 503.
pub(super) fn readiness(ready: bool) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    if !ready {
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    answer
}

/// Answers with the metadata of the server.
pub(super) fn server(state: &Arc<ServerState>) -> Response<Body> {
    answer(&state.metadata())
}

/// Answers with the metadata of a model.
pub(super) fn model(state: &Arc<ServerState>, name: &str, version: Option<&str>) -> Response<Body> {
    answer_result(state.model_metadata(name, version))
}

/// Answers whether a model is ready.
pub(super) fn model_ready(
    state: &Arc<ServerState>,
    name: &str,
    version: Option<&str>,
) -> Response<Body> {
    match state.find(name, version) {
        Ok(_) => readiness(state.is_model_ready(name)),
        Err(error) => error_answer(&error),
    }
}

/// Answers with the configuration of a model.
pub(super) fn config(
    state: &Arc<ServerState>,
    name: &str,
    version: Option<&str>,
) -> Response<Body> {
    answer_result(state.model_config(name, version))
}

/// The body of an answer with statistics.
#[derive(Serialize)]
struct StatisticsAnswer {
    model_stats: Vec<ModelStatistics>,
}

/// Answers with the statistics of a model.
pub(super) fn statistics(
    state: &Arc<ServerState>,
    name: &str,
    version: Option<&str>,
) -> Response<Body> {
    match state.find(name, version) {
        Ok(_) => answer(&StatisticsAnswer { model_stats: state.statistics(Some(name)) }),
        Err(error) => error_answer(&error),
    }
}

/// Answers with the statistics of all models.
pub(super) fn all_statistics(state: &Arc<ServerState>) -> Response<Body> {
    answer(&StatisticsAnswer { model_stats: state.statistics(None) })
}

/// The body of a request for the list of models.
#[derive(Default, Deserialize)]
struct IndexRequest {
    #[serde(default)]
    ready: bool,
}

/// Answers with the list of models.
pub(super) fn index(state: &Arc<ServerState>, body: &Bytes) -> Response<Body> {
    let request = if body.is_empty() {
        Ok(IndexRequest::default())
    } else {
        serde_json::from_slice::<IndexRequest>(body)
    };
    match request {
        Ok(IndexRequest { ready }) => answer(&state.repository_index(ready)),
        Err(error) => {
            error_answer(&ServeError::bad_request(format!("the request's JSON: {error}")))
        }
    }
}

/// Answers that the server does not offer something.
pub(super) fn not_offered(what: &str, remedy: &str) -> Response<Body> {
    let message = format!("{what} is not supported; {remedy}");
    error_answer(&ServeError::new(ErrorKind::NotImplemented, message))
}
