//! The paths that change the run.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;

use super::api::{ErrorKind, HistoryBody, PlannedChange, RecordAnswer, StopAnswer};
use super::caller::author;
use super::error::{Answer, ApiError, json};
use super::host::{ControlHost, HostState};
use super::json_body::{read_change, read_optional};
use super::listener::Peer;
use super::path_part::PathPart;
use super::remote_paths::check_names;
use crate::layout::Change;
use crate::scheduler::{ChangeOperation, ChangeRequest};
use crate::telemetry::{Author, StateVersion};

type Shared = State<Arc<HostState>>;

pub(super) async fn plan(
    State(state): Shared,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Answer {
    let change = read_change(body).await?.change().map_err(ApiError::bad_request)?;
    check_paths(&peer, &change)?;
    let planned = state.call(move |host| {
        // the version first, so that a change that expects it is refused if the plan is of a newer one
        let version = host.control.version();
        host.control.plan(&change).map(|plan| PlannedChange { version, plan })
    });
    json(&planned.await??)
}

pub(super) async fn apply(
    State(state): Shared,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let body = read_change(body).await?;
    let expected = body.expected;
    let change = body.change().map_err(ApiError::bad_request)?;
    check_paths(&peer, &change)?;
    request(&state, ChangeOperation::Apply(change), expected, author(&peer.user, &headers)).await
}

pub(super) async fn undo(
    State(state): Shared,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let HistoryBody { change, expected } = read_optional(body).await?;
    let operation = change.map_or(ChangeOperation::Undo, ChangeOperation::UndoChange);
    request(&state, operation, expected, author(&peer.user, &headers)).await
}

pub(super) async fn redo(
    State(state): Shared,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let HistoryBody { change, expected } = read_optional(body).await?;
    if change.is_some() {
        return Err(ApiError::bad_request("`change` is for an undo; a redo has no choice"));
    }
    request(&state, ChangeOperation::Redo, expected, author(&peer.user, &headers)).await
}

pub(super) async fn record(State(state): Shared, PathPart(model): PathPart) -> Answer {
    let toggle = move |host: &ControlHost| {
        require_writable(host)?;
        let Some(recordings) = &host.recordings else {
            return Err(ApiError::new(ErrorKind::NotFound, "this divvy records no requests"));
        };
        let refused = |reason| ApiError::new(ErrorKind::Refused, reason);
        let message = recordings.toggle(&model).map_err(refused)?;
        Ok(RecordAnswer { message })
    };
    json(&state.call(toggle).await??)
}

/// Returns an error if the run refuses all changes. The scheduler checks its own.
pub(super) fn require_writable(host: &ControlHost) -> Result<(), ApiError> {
    if host.run.read_only {
        let text = "this divvy is read-only: start it without --readonly";
        return Err(ApiError::new(ErrorKind::ReadOnly, text));
    }
    Ok(())
}

pub(super) async fn stop(State(state): Shared) -> Answer {
    (state.host.stop)();
    json(&StopAnswer { pid: std::process::id() })
}

pub(super) async fn reload(State(state): Shared) -> Answer {
    let reloaded = state.call(|host| (host.reload)()).await?;
    json(&reloaded.map_err(|reason| ApiError::new(ErrorKind::Refused, reason))?)
}

/// Refuses a change with a relative path or an unknown embedded model, and over TCP one that names new files of
/// the host.
pub(super) fn check_paths(peer: &Peer, change: &Change) -> Result<(), ApiError> {
    check_names(change).map_err(ApiError::bad_request)?;
    let Some(access) = &peer.tcp else { return Ok(()) };
    access.paths.check(change).map_err(|reason| ApiError::new(ErrorKind::Forbidden, reason))
}

async fn request(
    state: &Arc<HostState>,
    operation: ChangeOperation,
    expected: Option<StateVersion>,
    author: Author,
) -> Answer {
    let request = ChangeRequest { operation, author, expected };
    let applied = state.call(move |host| host.control.request(request)).await?;
    json(&applied?)
}
