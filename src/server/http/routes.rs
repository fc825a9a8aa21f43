//! The paths of the protocol.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use axum::http::{HeaderValue, Method, Response, StatusCode, Uri};
use axum::routing::{any, get, post};
use bytes::Bytes;
use tower::ServiceExt;
use tower_http::compression::Compression;
use tower_http::decompression::RequestDecompression;

use super::error_answer::{error_answer, message_answer};
use super::infer::{ModelPath, infer};
use super::path_names::PathNames;
use super::resources;
use crate::server::serve_error::{ErrorKind, ServeError};
use crate::server::state::ServerState;

/// The largest body of a request that has no tensors.
const SMALL_BODY: usize = 64 << 10;

type Shared = State<Arc<ServerState>>;

/// Returns the routes of the protocol over HTTP.
pub(in crate::server) fn routes(state: Arc<ServerState>) -> Router {
    let mut routes = Router::new()
        .route("/v2", get(|State(state): Shared| async move { resources::server(&state) }))
        .route("/v2/health/live", get(|| async { resources::readiness(true) }))
        .route(
            "/v2/health/ready",
            get(|State(state): Shared| async move { resources::readiness(state.is_ready()) }),
        )
        .route("/v2/models/stats", get(all_statistics))
        .route("/v2/repository/index", post(index));
    for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
        routes = routes
            .route(model, get(model_metadata))
            .route(&format!("{model}/ready"), get(model_ready))
            .route(&format!("{model}/config"), get(model_config))
            .route(&format!("{model}/stats"), get(model_statistics))
            .route(&format!("{model}/infer"), post(serve_infer))
            .route(&format!("{model}/trace/setting"), any(no_trace));
    }
    routes
        .route("/v2/repository/models/{model}/load", any(no_loading))
        .route("/v2/repository/models/{model}/unload", any(no_loading))
        .route("/v2/trace/setting", any(no_trace))
        .route("/v2/logging", any(no_logging))
        .route("/v2/systemsharedmemory/{*rest}", any(no_shared_memory))
        .route("/v2/cudasharedmemory/{*rest}", any(no_shared_memory))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(SMALL_BODY))
        .with_state(state)
}

async fn model_metadata(State(state): Shared, path: PathNames) -> Response<Body> {
    resources::model(&state, path.model(), path.version())
}

async fn model_ready(State(state): Shared, path: PathNames) -> Response<Body> {
    resources::model_ready(&state, path.model(), path.version())
}

async fn model_config(State(state): Shared, path: PathNames) -> Response<Body> {
    resources::config(&state, path.model(), path.version())
}

async fn model_statistics(State(state): Shared, path: PathNames) -> Response<Body> {
    resources::statistics(&state, path.model(), path.version())
}

async fn all_statistics(State(state): Shared) -> Response<Body> {
    resources::all_statistics(&state)
}

async fn index(State(state): Shared, body: Result<Bytes, BytesRejection>) -> Response<Body> {
    match body {
        Ok(body) => resources::index(&state, &body),
        Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            error_answer(&ServeError::too_large(SMALL_BODY as u64))
        }
        Err(error) => message_answer(error.status(), &error.body_text()),
    }
}

/// Answers a request of inference. Only a client that compresses, or wants its answer compressed, pays for
/// the layers that do so.
async fn serve_infer(State(state): Shared, path: PathNames, request: Request) -> Response<Body> {
    let (model, version) = (path.model(), path.version());
    let path = ModelPath { model: model.to_owned(), version: version.map(str::to_owned) };
    let headers = request.headers();
    let is_coded = headers.contains_key(CONTENT_ENCODING) || headers.contains_key(ACCEPT_ENCODING);
    if !is_coded {
        return infer(state, path, request).await;
    }
    if let Some(unknown) = headers.get(CONTENT_ENCODING).filter(|coding| !is_known(coding)) {
        state.activity.unknown_model().count(Some(ErrorKind::BadRequest));
        let unknown = String::from_utf8_lossy(unknown.as_bytes());
        return error_answer(&ServeError::bad_request(format!(
            "the body's Content-Encoding `{unknown}` is not supported; use gzip or deflate"
        )));
    }
    let infer = tower::service_fn(move |request: Request<_>| {
        let (state, path) = (state.clone(), path.clone());
        async move {
            let request = request.map(Body::new);
            Ok::<_, std::convert::Infallible>(infer(state, path, request).await)
        }
    });
    let service = Compression::new(RequestDecompression::new(infer));
    match service.oneshot(request).await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => message_answer(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// Returns true for an encoding of bodies that the server reads.
fn is_known(coding: &HeaderValue) -> bool {
    matches!(coding.as_bytes(), b"gzip" | b"deflate" | b"identity")
}

async fn no_loading() -> Response<Body> {
    resources::not_offered("loading and unloading models by request", "change the layout instead")
}

async fn no_trace() -> Response<Body> {
    resources::not_offered("the trace extension", "the console shows where time is spent")
}

async fn no_logging() -> Response<Body> {
    resources::not_offered("the logging extension", "set DIVVY_LOG before the start")
}

async fn no_shared_memory() -> Response<Body> {
    resources::not_offered("shared memory", "send tensors as binary data")
}

async fn no_such_path(uri: Uri) -> Response<Body> {
    let path: String = uri.path().chars().take(128).collect();
    let message = format!(
        "there is no {path}; the paths begin with /v2, for example /v2/models/NAME or /v2/models/NAME/infer"
    );
    message_answer(StatusCode::NOT_FOUND, &message)
}

/// Answers a request whose path has no such method.
pub(in crate::server) async fn wrong_method(method: Method, uri: Uri) -> Response<Body> {
    let path = uri.path();
    let right = if path.ends_with("/infer") || path.ends_with("/index") { "POST" } else { "GET" };
    let message = format!("{path} does not accept {method}; use {right}");
    message_answer(StatusCode::METHOD_NOT_ALLOWED, &message)
}
