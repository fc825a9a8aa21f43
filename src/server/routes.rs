//! The routes of each protocol.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::serve_error::ErrorKind;
use super::state::ServerState;
use super::{grpc, http, metrics};

/// The start of the paths that need no token.
const HEALTH: &str = "/v2/health/";

/// Returns the routes of HTTP. All but health need the token, if the server has one.
pub(super) fn http(state: &Arc<ServerState>) -> Router {
    let routes = http::routes(state.clone()).merge(metrics::routes(state));
    if state.access.needs_token() {
        routes.layer(from_fn_with_state(state.clone(), check_token))
    } else {
        routes
    }
}

/// Refuses a request without the token.
async fn check_token(
    State(state): State<Arc<ServerState>>,
    request: Request,
    next: Next,
) -> Response {
    let sent = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    if request.uri().path().starts_with(HEALTH) || state.access.allows(sent) {
        return next.run(request).await;
    }
    state.activity.unknown_model().count(Some(ErrorKind::Unauthorized));
    let body = r#"{"error":"this server needs a token: send `Authorization: Bearer TOKEN`"}"#;
    let headers = [(WWW_AUTHENTICATE, "Bearer"), (CONTENT_TYPE, "application/json")];
    (StatusCode::UNAUTHORIZED, headers, body).into_response()
}

/// Returns the routes of gRPC, whose service checks the token itself: it answers with a gRPC status.
pub(super) fn grpc(state: &Arc<ServerState>) -> Router {
    grpc::routes(state.clone())
}
