//! The paths that read.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::Response;
use axum::http::header::{CONTENT_TYPE, HeaderValue};

use super::api::{ErrorKind, JournalList, LiveLayout, LogList};
use super::error::{Answer, ApiError, json};
use super::host::{ControlHost, HostState};
use super::listener::{Peer, Rights};
use super::openapi::DOCUMENT;
use super::path_part::PathPart;
use super::routes::CheckedAccess;
use super::snapshot_json::SnapshotParts;
use super::streams;
use crate::layout::RefusalKind;

type Shared = State<Arc<HostState>>;

pub(super) async fn info(State(state): Shared, Extension(peer): Extension<Peer>) -> Answer {
    let mut info = state.info();
    // an attached console offers no changes then
    info.read_only |= peer.rights == Rights::Read;
    json(&info)
}

pub(super) async fn openapi() -> Response<Body> {
    let mut answer = Response::new(Body::from(DOCUMENT));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

pub(super) async fn machine(State(state): Shared) -> Answer {
    json(&state.host.machine)
}

pub(super) async fn snapshot(State(state): Shared, query: RawQuery) -> Answer {
    let parts = parts(&Query::parse(&query, &["include"])?)?;
    let snapshot = state.host.control.snapshots().borrow().clone();
    let line = state
        .snapshots
        .line(&snapshot, parts)
        .map_err(|error| ApiError::new(ErrorKind::Internal, error.to_string()))?;
    let mut answer = Response::new(Body::from(line));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}

pub(super) async fn snapshots(
    State(state): Shared,
    Extension(access): Extension<CheckedAccess>,
    query: RawQuery,
) -> Answer {
    let parts = parts(&Query::parse(&query, &["include"])?)?;
    Ok(streams::snapshots(&state, access, parts))
}

pub(super) async fn layout(State(state): Shared) -> Answer {
    let read = |host: &ControlHost| {
        // the version first, so that a change that expects it is refused if the layout is newer
        let version = host.control.version();
        LiveLayout { version, layout: host.control.layout() }
    };
    json(&state.call(read).await?)
}

pub(super) async fn journal(
    State(state): Shared,
    Extension(access): Extension<CheckedAccess>,
    query: RawQuery,
) -> Answer {
    let query = Query::parse(&query, &["after", "follow"])?;
    let after = query.number("after")?.unwrap_or(0);
    let mut entries = state.call(|host| host.control.journal()).await?;
    entries.retain(|entry| entry.id > after);
    if query.get("follow").is_some() {
        return Ok(streams::journal(&state, access, entries));
    }
    json(&JournalList { entries })
}

pub(super) async fn journal_entry(State(state): Shared, PathPart(id): PathPart) -> Answer {
    let number: u64 = id
        .parse()
        .map_err(|_| ApiError::bad_request(format!("`{id}` is not the number of a change")))?;
    let newest = state.host.control.snapshots().borrow().changes.clone();
    let find = |entries: &[Arc<_>]| {
        entries
            .iter()
            .find(|entry: &&Arc<crate::telemetry::JournalEntry>| entry.id == number)
            .cloned()
    };
    let found = match find(&newest) {
        Some(entry) => Some(entry),
        // it may be older than those, or newer than the snapshot
        None => find(&state.call(|host| host.control.journal()).await?),
    };
    match found {
        Some(entry) => json(&entry),
        None => {
            Err(ApiError::new(ErrorKind::NotFound, format!("the journal has no change {number}")))
        }
    }
}

pub(super) async fn log(State(state): Shared, query: RawQuery) -> Answer {
    let after = Query::parse(&query, &["after"])?.number("after")?.unwrap_or(0);
    json(&LogList { lines: state.host.log.lines_after(after) })
}

pub(super) async fn inspect(State(state): Shared, PathPart(model): PathPart) -> Answer {
    let file = state.call(move |host| host.inspection.inspect(&model)).await?;
    json(&file.map_err(|refusal| {
        let mut error = ApiError::from(refusal);
        if error.0.refusal.as_ref().is_some_and(|refusal| refusal.kind == RefusalKind::NotAllowed) {
            error.0.kind = ErrorKind::NotFound;
        }
        error
    })?)
}

fn parts(query: &Query) -> Result<SnapshotParts, ApiError> {
    SnapshotParts::parse(query.get("include").unwrap_or_default()).map_err(ApiError::bad_request)
}

/// The parameters behind the `?` of a path.
struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the parameters.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`] for a parameter that is not known here.
    fn parse(RawQuery(query): &RawQuery, known: &[&str]) -> Result<Self, ApiError> {
        let mut parameters = Vec::new();
        let pairs = query.as_deref().unwrap_or_default().split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                let known = known.join(" or ");
                return Err(ApiError::bad_request(format!(
                    "this path has no parameter `{name}`; use {known}"
                )));
            }
            // no value has another special character
            let value = value.replace("%2C", ",").replace("%2c", ",");
            parameters.push((name.to_owned(), value));
        }
        Ok(Self(parameters))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse();
        number
            .map(Some)
            .map_err(|_| ApiError::bad_request(format!("`{name}={text}`: not a number")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Query, String> {
        Query::parse(&RawQuery(Some(query.to_owned())), &["after", "include"])
            .map_err(|error| error.0.message)
    }

    #[test]
    fn parameters_are_checked() {
        let query = parse("after=7&include=threads%2Cjournal").unwrap();
        assert_eq!(query.number("after").unwrap(), Some(7));
        assert_eq!(query.get("include"), Some("threads,journal"));
        assert!(parse("aftre=7").err().unwrap().contains("`aftre`"));
        assert!(parse("after=x").unwrap().number("after").is_err());
        assert_eq!(parse("").unwrap().number("after").unwrap(), None);
    }
}
