//! The paths of the interface, and the checks before them.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, Method, Response, Uri};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tower::ServiceExt;

use super::api::{API_HEADER, API_VERSION, ErrorKind};
use super::error::ApiError;
use super::host::HostState;
use super::listener::{Peer, Rights};
use super::{change_routes, read_routes, store_routes};
use crate::machine::TokenGrant;

/// Returns the routes.
pub(super) fn routes(state: Arc<HostState>) -> Router {
    Router::new()
        .route("/v1", get(read_routes::info))
        .route("/v1/openapi.json", get(read_routes::openapi))
        .route("/v1/snapshot", get(read_routes::snapshot))
        .route("/v1/snapshots", get(read_routes::snapshots))
        .route("/v1/layout", get(read_routes::layout))
        .route("/v1/layouts", get(store_routes::list))
        .route(
            "/v1/layouts/{name}",
            get(store_routes::read).put(store_routes::save).delete(store_routes::delete),
        )
        .route("/v1/layouts/{name}/rename", post(store_routes::rename))
        .route("/v1/current", get(store_routes::current).put(store_routes::set_current))
        .route("/v1/journal", get(read_routes::journal))
        .route("/v1/journal/{id}", get(read_routes::journal_entry))
        .route("/v1/machine", get(read_routes::machine))
        .route("/v1/log", get(read_routes::log))
        .route("/v1/inspect/{model}", get(read_routes::inspect))
        .route("/v1/plan", post(change_routes::plan))
        .route("/v1/apply", post(change_routes::apply))
        .route("/v1/undo", post(change_routes::undo))
        .route("/v1/redo", post(change_routes::redo))
        .route("/v1/reload", post(change_routes::reload))
        .route("/v1/record/{model}", post(change_routes::record))
        .route("/v1/stop", post(change_routes::stop))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
}

/// Answers a request: checks the client, then calls the route.
pub(super) async fn answer(routes: Router, peer: Peer, mut request: Request) -> Response<Body> {
    let mut answer = match check(&peer, &request) {
        Err(error) => error.into_response(),
        Ok(access) => {
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(access);
            match routes.oneshot(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            }
        }
    };
    answer.headers_mut().insert(API_HEADER, HeaderValue::from(API_VERSION));
    answer
}

/// The access of a request that was checked.
#[derive(Clone, Debug)]
pub(super) struct CheckedAccess {
    /// The grant over TCP; the kernel vouches for clients of a socket.
    grant: Option<TokenGrant>,
}

impl CheckedAccess {
    /// Returns true until the token of the request is replaced.
    pub(super) fn is_in_force(&self) -> bool {
        self.grant.as_ref().is_none_or(TokenGrant::is_in_force)
    }
}

/// Checks the rights of the client and its version of the interface.
fn check(peer: &Peer, request: &Request) -> Result<CheckedAccess, ApiError> {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    match peer.rights {
        Rights::None => {
            let user = &peer.user;
            return Err(ApiError::new(
                ErrorKind::Forbidden,
                format!(
                    "this socket is for the user who runs this divvy, and for root; {user} may not use it \
                     (--readers GROUP opens one for reading)"
                ),
            ));
        }
        Rights::Read if !is_read => {
            return Err(ApiError::new(
                ErrorKind::ReadOnly,
                "this socket is for reading: it accepts GET only",
            ));
        }
        Rights::Read | Rights::All => {}
    }
    let grant = match &peer.tcp {
        None => None,
        Some(access) => {
            let sent = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
            Some(access.token.grant(sent).ok_or_else(|| {
                ApiError::new(
                    ErrorKind::Unauthorized,
                    "the control token is missing or wrong: send `Authorization: Bearer TOKEN`",
                )
            })?)
        }
    };
    let access = CheckedAccess { grant };
    let Some(version) = request.headers().get(API_HEADER) else { return Ok(access) };
    let version = String::from_utf8_lossy(version.as_bytes());
    if version.trim() == API_VERSION.to_string() {
        return Ok(access);
    }
    Err(ApiError::new(
        ErrorKind::ApiVersion,
        format!(
            "the client has version {} of the control interface, and this divvy ({}) has version {API_VERSION}; \
             use the divvy of the same release",
            version.trim(),
            env!("CARGO_PKG_VERSION")
        ),
    ))
}

async fn no_such_path(uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(128).collect();
    ApiError::new(
        ErrorKind::NotFound,
        format!(
            "there is no {path}; the paths begin with /v1, for example /v1/snapshot or /v1/apply"
        ),
    )
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    let path = uri.path();
    let right = match path.strip_prefix("/v1/").unwrap_or_default() {
        "plan" | "apply" | "undo" | "redo" | "reload" | "stop" => "POST",
        "current" => "GET or PUT",
        rest if rest.starts_with("record/") => "POST",
        rest if rest.starts_with("layouts/") && rest.ends_with("/rename") => "POST",
        rest if rest.starts_with("layouts/") => "GET, PUT or DELETE",
        _ => "GET",
    };
    ApiError::new(
        ErrorKind::MethodNotAllowed,
        format!("{path} does not accept {method}; use {right}"),
    )
}
