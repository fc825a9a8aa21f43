//! The host: what it offers, and the thread that answers.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{Semaphore, oneshot};

use super::api::{ErrorKind, ReloadAnswer, RunInfo};
use super::error::ApiError;
use super::listener::{ControlListener, accept};
use super::snapshot_cache::SnapshotCache;
use crate::control::api::API_VERSION;
use crate::machine::{Description, request_short_slice};
use crate::scheduler::{Control, LayoutStore, ModelInspection, RequestRecordings, RunLog};

/// The name of the thread; `command::run` keeps threads of this name off reserved cores.
const NAME: &str = "divvy-control";

/// The most calls of the scheduler at once.
const MOST_CALLS: usize = 8;

/// The most calls that run or wait.
const MOST_WAITING: usize = 64;

/// The longest time for answers to be sent at the end.
const CLOSE_TIME: Duration = Duration::from_millis(500);

/// All that clients can reach.
pub struct ControlHost {
    /// The scheduler.
    pub control: Arc<dyn Control>,
    /// The models' files.
    pub inspection: Arc<dyn ModelInspection>,
    /// The saved layouts; `None` if this user has no folder for them.
    pub layouts: Option<Arc<dyn LayoutStore>>,
    /// Records live requests; `None` if there is no place for recordings.
    pub recordings: Option<Arc<dyn RequestRecordings>>,
    /// The log.
    pub log: Arc<dyn RunLog>,
    /// The machine.
    pub machine: Description,
    /// The run.
    pub run: RunIdentity,
    /// Reloads the run's files, as SIGHUP does without a terminal. The error is a message.
    pub reload: Box<dyn Fn() -> Result<ReloadAnswer, String> + Send + Sync>,
    /// Ends the run, as SIGTERM does.
    pub stop: Box<dyn Fn() + Send + Sync>,
}

/// The facts about a run that do not change.
#[derive(Clone, Debug, Default)]
pub struct RunIdentity {
    /// Its name.
    pub name: String,
    /// The layout that it was started with.
    pub layout: String,
    /// True if it refuses all changes.
    pub read_only: bool,
    /// When it started, in milliseconds since 1970 in UTC.
    pub started_unix_ms: u64,
}

/// The state that all connections share.
pub(super) struct HostState {
    pub(super) host: ControlHost,
    pub(super) snapshots: SnapshotCache,
    calls: Arc<Semaphore>,
}

impl HostState {
    fn new(host: ControlHost) -> Self {
        let calls = Arc::new(Semaphore::new(MOST_WAITING));
        Self { host, snapshots: SnapshotCache::default(), calls }
    }

    /// Makes a call that may block, away from the thread that serves all connections.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if too many calls wait.
    pub(super) async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl FnOnce(&ControlHost) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let Ok(permit) = self.calls.clone().try_acquire_owned() else {
            let text = format!("{MOST_WAITING} requests wait for the scheduler; try again");
            return Err(ApiError::new(ErrorKind::Busy, text));
        };
        let state = self.clone();
        let called = tokio::task::spawn_blocking(move || {
            let answer = call(&state.host);
            drop(permit);
            answer
        });
        called.await.map_err(|error| ApiError::new(ErrorKind::Internal, error.to_string()))
    }

    /// Returns the description of the run.
    pub(super) fn info(&self) -> RunInfo {
        let ControlHost { control, run, .. } = &self.host;
        let snapshot = control.snapshots().borrow().clone();
        RunInfo {
            api: API_VERSION,
            divvy: env!("CARGO_PKG_VERSION").to_owned(),
            name: run.name.clone(),
            pid: std::process::id(),
            layout: run.layout.clone(),
            read_only: run.read_only,
            started_unix_ms: run.started_unix_ms,
            version: control.version(),
            models: snapshot.models.len(),
            completed_per_s: snapshot.models.iter().map(|model| model.second.completed_per_s).sum(),
        }
    }
}

/// A running host. Dropping it closes all connections.
pub struct ControlServer {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ControlServer {
    /// Starts to answer on the listeners.
    ///
    /// # Errors
    /// When the system cannot start the thread, or a listener cannot be used.
    pub fn start(host: ControlHost, listeners: Vec<ControlListener>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name(NAME)
            .max_blocking_threads(MOST_CALLS)
            .on_thread_start(|| {
                request_short_slice();
            })
            .build()?;
        let state = Arc::new(HostState::new(host));
        let bound: Vec<_> = {
            let _guard = runtime.enter();
            listeners.into_iter().map(ControlListener::bind).collect::<io::Result<_>>()?
        };
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name(NAME.to_owned()).spawn(move || {
            request_short_slice();
            for listener in bound {
                runtime.spawn(accept(listener, state.clone()));
            }
            // an error means that the handle was dropped
            let _ = runtime.block_on(ended);
            runtime.shutdown_timeout(CLOSE_TIME);
        })?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            // the thread waits for it
            let _ = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            // a panic has been logged
            let _ = thread.join();
        }
    }
}
