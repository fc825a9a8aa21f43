//! The client of a host, for code that may block.

use std::fmt::Write;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::api::{
    API_HEADER, API_VERSION, CLIENT_HEADER, ChangeBody, ErrorBody, ErrorDetail, HistoryBody,
    JournalList, LiveLayout, LogList, PlannedChange, ReloadAnswer, RunInfo, StopAnswer,
};
use super::connection::{Address, RequestSender, connect};
use super::snapshot_json::SnapshotParts;
use crate::engine::onnx::ModelFile;
use crate::machine::Description;
use crate::telemetry::{Applied, JournalEntry, Snapshot};

/// The longest time for an answer. The host has limits of its own, which are shorter.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// A connection that was idle for longer is not used again, since the host may be closing it.
const LONGEST_IDLE: Duration = Duration::from_secs(10);

/// The error of a call.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nothing listens there.
    #[error("{address}: no running divvy answers there ({error})")]
    Unreachable {
        /// The address.
        address: Address,
        /// The system's error.
        error: io::Error,
    },
    /// The host did not answer in time. It may be starting, or stopped by a signal.
    #[error(
        "{0}: the running divvy does not answer; it may still be loading its models, or be suspended"
    )]
    Silent(Address),
    /// The connection was lost before the answer was complete.
    #[error("{address}: the connection to the running divvy was lost: {reason}")]
    Lost {
        /// The address.
        address: Address,
        /// The reason.
        reason: String,
    },
    /// The host answered with an error.
    #[error("{0}")]
    Refused(ErrorDetail),
    /// The answer cannot be read.
    #[error(
        "{address}: the answer cannot be read: {reason}; the running divvy may be of another version"
    )]
    Unreadable {
        /// The address.
        address: Address,
        /// The reason.
        reason: String,
    },
}

/// A client of a host. Calls block the thread; several threads can share it, and take turns.
pub struct ControlClient {
    address: Address,
    name: String,
    timeout: Duration,
    connection: Mutex<ClientConnection>,
}

struct ClientConnection {
    runtime: Runtime,
    idle: Option<(RequestSender, Instant)>,
}

impl ControlClient {
    /// A client that calls itself `name`. Connects with its first call.
    ///
    /// # Errors
    /// When the system cannot create a runtime.
    pub fn new(address: Address, name: &str) -> io::Result<Self> {
        let connection = Mutex::new(ClientConnection { runtime: runtime()?, idle: None });
        Ok(Self { address, name: name.to_owned(), timeout: ANSWER_TIMEOUT, connection })
    }

    /// The same client with another limit on the time for an answer.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Closes the connection that is kept for the next call, if there is one.
    pub(super) fn close_idle(&self) {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).idle = None;
    }

    /// Returns the address of the host.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the description of the run.
    ///
    /// # Errors
    /// [`ClientError`], as for all calls.
    pub fn info(&self) -> Result<RunInfo, ClientError> {
        self.get("/v1")
    }

    /// Returns the newest snapshot with these parts.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn snapshot(&self, parts: SnapshotParts) -> Result<Snapshot, ClientError> {
        self.get(&format!("/v1/snapshot?include={}", parts.list()))
    }

    /// Opens the stream of snapshots, one per line.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn snapshots(&self, parts: SnapshotParts) -> Result<LineStream, ClientError> {
        self.lines(&format!("/v1/snapshots?include={}", parts.list()))
    }

    /// Returns the live layout.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn layout(&self) -> Result<LiveLayout, ClientError> {
        self.get("/v1/layout")
    }

    /// Returns the journal of the run, from the entry behind `after` on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn journal(&self, after: u64) -> Result<JournalList, ClientError> {
        self.get(&format!("/v1/journal?after={after}"))
    }

    /// Returns one entry of the journal.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn journal_entry(&self, id: u64) -> Result<JournalEntry, ClientError> {
        self.get(&format!("/v1/journal/{id}"))
    }

    /// Opens the stream of journal entries behind `after`, one per line. An entry comes again when it has
    /// changed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn follow_journal(&self, after: u64) -> Result<LineStream, ClientError> {
        self.lines(&format!("/v1/journal?follow&after={after}"))
    }

    /// Returns the machine of the host.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn machine(&self) -> Result<Description, ClientError> {
        self.get("/v1/machine")
    }

    /// Returns the lines of the log behind number `after`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn log(&self, after: u64) -> Result<LogList, ClientError> {
        self.get(&format!("/v1/log?after={after}"))
    }

    /// Reads the file of a model.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn inspect(&self, model: &str) -> Result<ModelFile, ClientError> {
        self.get(&format!("/v1/inspect/{}", path_part(model)))
    }

    /// Returns what a change would do.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn plan(&self, change: &ChangeBody) -> Result<PlannedChange, ClientError> {
        self.post("/v1/plan", change)
    }

    /// Applies a change.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn apply(&self, change: &ChangeBody) -> Result<Applied, ClientError> {
        self.post("/v1/apply", change)
    }

    /// Undoes the newest change.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn undo(&self, body: &HistoryBody) -> Result<Applied, ClientError> {
        self.post("/v1/undo", body)
    }

    /// Redoes the newest undone change.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn redo(&self, body: &HistoryBody) -> Result<Applied, ClientError> {
        self.post("/v1/redo", body)
    }

    /// Reloads the run's files.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn reload(&self) -> Result<ReloadAnswer, ClientError> {
        self.post("/v1/reload", &())
    }

    /// Ends the run, as SIGTERM does.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn stop(&self) -> Result<StopAnswer, ClientError> {
        self.post("/v1/stop", &())
    }

    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(&Call { method: Method::GET, path, body: Bytes::new() })
    }

    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.send_body(Method::POST, path, body)
    }

    /// Sends a body by a method.
    pub(super) fn send_body<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.lost(&error.to_string()))?;
        self.call(&Call { method, path, body: body.into() })
    }

    fn call<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, ClientError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let ClientConnection { runtime, idle } = &mut *connection;
        let reused = idle.take().filter(|(_, used)| used.elapsed() < LONGEST_IDLE);
        let exchange = async {
            let (answer, sender) = self.send(reused.map(|(sender, _)| sender), call).await?;
            let bytes = self.collect(answer).await?;
            Ok((bytes, sender))
        };
        let (bytes, sender) = runtime
            .block_on(async { timeout(self.timeout, exchange).await })
            .map_err(|_| ClientError::Silent(self.address.clone()))??;
        *idle = Some((sender, Instant::now()));
        // an answer without content is the value of no type but `()`
        let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(bytes).map_err(|error| ClientError::Unreadable {
            address: self.address.clone(),
            reason: error.to_string(),
        })
    }

    /// Sends a request, on a connection that is open if there is one.
    async fn send(
        &self,
        reused: Option<RequestSender>,
        call: &Call<'_>,
    ) -> Result<(Response<Incoming>, RequestSender), ClientError> {
        let mut request = call.request(self).map_err(|error| self.lost(&error))?;
        if let Some(mut sender) = reused
            && sender.ready().await.is_ok()
        {
            match sender.try_send_request(request).await {
                Ok(answer) => return Ok((answer, sender)),
                // the host has closed the connection, and has not seen the request
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.lost(&error.into_error().to_string())),
                },
            }
        }
        let connected = connect(&self.address).await;
        let mut sender = connected
            .map_err(|error| ClientError::Unreachable { address: self.address.clone(), error })?;
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| self.lost(&error.to_string()))?;
        Ok((answer, sender))
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if it is an error.
    async fn collect(&self, answer: Response<Incoming>) -> Result<Bytes, ClientError> {
        let status = answer.status();
        let body = answer.into_body().collect().await;
        let bytes = body.map_err(|error| self.lost(&error.to_string()))?.to_bytes();
        if status.is_success() {
            return Ok(bytes);
        }
        Err(match serde_json::from_slice::<ErrorBody>(&bytes) {
            Ok(body) => ClientError::Refused(body.error),
            Err(_) => ClientError::Unreadable {
                address: self.address.clone(),
                reason: format!("status {status}"),
            },
        })
    }

    /// Opens a stream on a connection of its own.
    fn lines(&self, path: &str) -> Result<LineStream, ClientError> {
        let runtime = runtime().map_err(|error| self.lost(&error.to_string()))?;
        let call = Call { method: Method::GET, path, body: Bytes::new() };
        let open = async {
            let (answer, sender) = self.send(None, &call).await?;
            if answer.status().is_success() {
                return Ok((answer.into_body(), sender));
            }
            Err(match self.collect(answer).await {
                Err(error) => error,
                Ok(_) => self.lost("no stream"),
            })
        };
        let (body, sender) = runtime
            .block_on(async { timeout(self.timeout, open).await })
            .map_err(|_| ClientError::Silent(self.address.clone()))??;
        let address = self.address.clone();
        Ok(LineStream { address, runtime, body, _sender: sender, buffer: Vec::new() })
    }

    fn lost(&self, reason: &str) -> ClientError {
        ClientError::Lost { address: self.address.clone(), reason: reason.to_owned() }
    }
}

/// One request.
struct Call<'c> {
    method: Method,
    path: &'c str,
    body: Bytes,
}

impl Call<'_> {
    fn request(&self, client: &ControlClient) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder()
            .method(&self.method)
            .uri(self.path)
            .header(HOST, "divvy")
            .header(API_HEADER, API_VERSION)
            .header(CLIENT_HEADER, &client.name)
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = client.address.token() {
            request = request.header(AUTHORIZATION, token.authorization());
        }
        request.body(Full::new(self.body.clone())).map_err(|error| error.to_string())
    }
}

/// A stream of lines. Dropping it closes its connection.
pub struct LineStream {
    address: Address,
    runtime: Runtime,
    body: Incoming,
    /// The connection ends without it.
    _sender: RequestSender,
    buffer: Vec<u8>,
}

impl LineStream {
    /// Waits for the next line, for at most `patience`, and reads it. Returns `None` if none came in time.
    ///
    /// # Errors
    /// [`ClientError::Lost`] when the stream has ended, and [`ClientError::Unreadable`].
    pub fn next<T: DeserializeOwned>(
        &mut self,
        patience: Duration,
    ) -> Result<Option<T>, ClientError> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).map(Some).map_err(|error| {
                    let address = self.address.clone();
                    ClientError::Unreadable { address, reason: error.to_string() }
                });
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            let Self { runtime, body, .. } = self;
            let frame = runtime.block_on(async { timeout(rest, body.frame()).await });
            let lost = |reason: String| ClientError::Lost { address: self.address.clone(), reason };
            match frame {
                Err(_) => return Ok(None),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Ok(Some(Err(error))) => return Err(lost(error.to_string())),
                Ok(None) => return Err(lost("it has ended".to_owned())),
            }
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Returns a name as a part of a path.
pub(super) fn path_part(name: &str) -> String {
    let mut part = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            part.push(char::from(byte));
        } else {
            // writing into a string does not fail
            let _ = write!(part, "%{byte:02X}");
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_in_paths() {
        assert_eq!(path_part("my model/1?"), "my%20model%2F1%3F");
        assert_eq!(path_part("detector-2.v1"), "detector-2.v1");
    }

    #[test]
    fn missing_socket_is_unreachable() {
        let address = Address::Socket("/nowhere/divvy.sock".into());
        let client = ControlClient::new(address, "test").unwrap();
        let error = client.info().unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("/nowhere/divvy.sock"));
    }
}
