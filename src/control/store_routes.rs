//! The paths of saved layouts. The files are the host's.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::api::{ErrorKind, LayoutList, RenameBody, SaveBody, StoredLayout};
use super::change_routes::{check_paths, require_writable};
use super::error::{Answer, ApiError, json};
use super::host::{ControlHost, HostState};
use super::json_body::read_json;
use super::listener::Peer;
use super::path_part::PathPart;
use crate::layout::{Change, Edit};
use crate::scheduler::{CurrentLayout, LayoutStore};

type Shared = State<Arc<HostState>>;

pub(super) async fn list(State(state): Shared) -> Answer {
    let list = |host: &ControlHost| -> Result<LayoutList, ApiError> {
        Ok(LayoutList { layouts: store(host)?.list()? })
    };
    json(&state.call(list).await??)
}

pub(super) async fn read(State(state): Shared, PathPart(name): PathPart) -> Answer {
    check_name(&name)?;
    let read = move |host: &ControlHost| -> Result<StoredLayout, ApiError> {
        Ok(store(host)?.read(&name)?.into())
    };
    json(&state.call(read).await??)
}

pub(super) async fn save(
    State(state): Shared,
    Extension(peer): Extension<Peer>,
    PathPart(name): PathPart,
    body: Body,
) -> Answer {
    check_name(&name)?;
    let SaveBody { layout, condition } = read_json(body).await?;
    // a layout that is saved can be opened later
    let change = Change::from(Edit::Load { layout: Box::new(layout.clone()) });
    check_paths(&peer, &change)?;
    let save = move |host: &ControlHost| -> Result<_, ApiError> {
        Ok(writable(host)?.save(&name, &layout, &condition)?)
    };
    json(&state.call(save).await??)
}

pub(super) async fn rename(State(state): Shared, PathPart(name): PathPart, body: Body) -> Answer {
    let RenameBody { to } = read_json(body).await?;
    check_name(&name)?;
    check_name(&to)?;
    let rename = move |host: &ControlHost| -> Result<(), ApiError> {
        Ok(writable(host)?.rename(&name, &to)?)
    };
    state.call(rename).await??;
    Ok(done())
}

pub(super) async fn delete(State(state): Shared, PathPart(name): PathPart) -> Answer {
    check_name(&name)?;
    let delete =
        move |host: &ControlHost| -> Result<(), ApiError> { Ok(writable(host)?.delete(&name)?) };
    state.call(delete).await??;
    Ok(done())
}

pub(super) async fn current(State(state): Shared) -> Answer {
    let read = |host: &ControlHost| -> Result<CurrentLayout, ApiError> {
        Ok(store(host)?.current().unwrap_or_default())
    };
    json(&state.call(read).await??)
}

pub(super) async fn set_current(State(state): Shared, body: Body) -> Answer {
    let CurrentLayout { name, revision } = read_json(body).await?;
    name.as_deref().map_or(Ok(()), check_name)?;
    let set = move |host: &ControlHost| -> Result<(), ApiError> {
        writable(host)?.set_current(name.as_deref(), revision);
        Ok(())
    };
    state.call(set).await??;
    Ok(done())
}

/// Refuses a path: it would reach files outside of the folders.
fn check_name(name: &str) -> Result<(), ApiError> {
    if name.contains(['/', '\\', '\0']) || name.starts_with('.') {
        return Err(ApiError::bad_request(format!("`{name}` is not the name of a layout")));
    }
    Ok(())
}

fn store(host: &ControlHost) -> Result<&dyn LayoutStore, ApiError> {
    host.layouts.as_deref().ok_or_else(|| {
        let message = "this divvy has no folder of saved layouts; see --layout-dir";
        ApiError::new(ErrorKind::NotFound, message)
    })
}

fn writable(host: &ControlHost) -> Result<&dyn LayoutStore, ApiError> {
    require_writable(host)?;
    store(host)
}

fn done() -> Response<Body> {
    StatusCode::NO_CONTENT.into_response()
}
