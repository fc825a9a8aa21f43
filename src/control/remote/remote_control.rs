//! The control of a scheduler in another process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use tokio::sync::watch;

use super::follower::{Followed, Follower};
use super::opened::Opened;
use crate::control::api::{ChangeBody, ErrorDetail, ErrorKind, HistoryBody, RunInfo};
use crate::control::client::{ClientError, ControlClient};
use crate::control::connection::Address;
use crate::layout::{Change, Layout, Plan, Refusal, RefusalKind};
use crate::scheduler::{ChangeOperation, ChangeRequest, Connection, Control, plan_change};
use crate::telemetry::{Applied, JournalEntry, Snapshot, StateVersion};

/// The longest wait for the first answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest wait for the answer to a change. The host's own limits are shorter.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(25);

/// A scheduler in another process. The process decides the author of changes: its caller is the user of this
/// process, with the client name. Dropping it closes the connection and leaves the run as it is.
pub struct RemoteControl {
    client: ControlClient,
    /// The process to which the client's connection was opened.
    client_pid: AtomicU32,
    followed: Arc<Followed>,
    info: RunInfo,
    /// The thread ends when it is dropped.
    _end: Sender<()>,
}

impl RemoteControl {
    /// Connects to a running divvy. `client` is the name of the caller behind that of its user.
    ///
    /// # Errors
    /// [`ClientError`] if it cannot be reached, or does not answer.
    pub fn connect(address: &Address, client: &str) -> Result<Self, ClientError> {
        let unreachable =
            |error: io::Error| ClientError::Unreachable { address: address.clone(), error };
        let connect = |timeout| {
            let client = ControlClient::new(address.clone(), client).map_err(unreachable)?;
            Ok::<_, ClientError>(client.with_timeout(timeout))
        };
        let follower = connect(PATIENCE)?;
        let opened = Opened::new(&follower, PATIENCE)?;
        let followed = Arc::new(Followed::new(&opened));
        let (end, ended) = mpsc::channel();
        let Opened { info, stream, .. } = opened;
        let follower =
            Follower { client: follower, followed: followed.clone(), end: ended, pid: info.pid };
        std::thread::Builder::new()
            .name("divvy-remote".to_owned())
            .spawn(move || follower.run(stream))
            .map_err(unreachable)?;
        let (client, client_pid) = (connect(ANSWER_TIMEOUT)?, AtomicU32::new(info.pid));
        Ok(Self { client, client_pid, followed, info, _end: end })
    }

    /// Returns the description of the run when it was first reached.
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// Returns the state of the connection.
    pub fn connection(&self) -> watch::Receiver<Connection> {
        self.followed.connection.subscribe()
    }

    /// Ends the run, as SIGTERM does.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn stop(&self) -> Result<(), ClientError> {
        self.client().stop().map(drop)
    }

    /// Returns the client for a call. A request on the connection to a process that has ended would be lost, so
    /// another process gets a new connection.
    pub(super) fn client(&self) -> &ControlClient {
        let pid = self.followed.connection.borrow().pid();
        if let Some(pid) = pid
            && self.client_pid.swap(pid, Ordering::Relaxed) != pid
        {
            self.client.close_idle();
        }
        &self.client
    }

    fn require_writable(&self) -> Result<(), Refusal> {
        if self.info.read_only {
            let reason = format!("{} is read-only for this console", self.info.name);
            return Err(Refusal::of_kind(RefusalKind::ReadOnly, reason));
        }
        Ok(())
    }
}

impl Control for RemoteControl {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.followed.snapshots.subscribe()
    }

    fn version(&self) -> StateVersion {
        self.followed.with_mirror(|mirror| mirror.version)
    }

    /// Plans on the newest known state, without asking the process.
    fn plan(&self, change: &Change) -> Result<Plan, Refusal> {
        self.require_writable()?;
        let (desired, machine) =
            self.followed.with_mirror(|mirror| (mirror.desired.clone(), mirror.machine.clone()));
        let snapshot = self.followed.snapshots.borrow().clone();
        let mut plan = plan_change(&desired, change, &machine, &snapshot.memory_table)?;
        for row in &mut plan.rows {
            row.last_build_us = last_build_us(&snapshot, &row.model);
        }
        Ok(plan)
    }

    fn request(&self, request: ChangeRequest) -> Result<Applied, Refusal> {
        let ChangeRequest { operation, expected, .. } = request;
        let applied = match operation {
            ChangeOperation::Apply(change) => {
                self.client().apply(&ChangeBody { expected, ..ChangeBody::new(change) })
            }
            ChangeOperation::Undo => self.client().undo(&HistoryBody { change: None, expected }),
            ChangeOperation::UndoChange(id) => {
                self.client().undo(&HistoryBody { change: Some(id), expected })
            }
            ChangeOperation::Redo => self.client().redo(&HistoryBody { change: None, expected }),
        };
        let applied = applied.map_err(|error| refusal(&self.info.name, error))?;
        self.followed.with_mirror(|mirror| mirror.take_applied(&applied));
        Ok(applied)
    }

    fn journal(&self) -> Vec<Arc<JournalEntry>> {
        match self.client().journal(0) {
            Ok(journal) => journal.entries,
            Err(_) => self.followed.snapshots.borrow().changes.clone(),
        }
    }

    fn layout(&self) -> Layout {
        match self.client().layout() {
            Ok(live) => live.layout,
            Err(_) => self.followed.with_mirror(|mirror| mirror.desired.layout()),
        }
    }
}

/// Returns how long the newest build of a model alone took, if one of the newest changes has built it.
fn last_build_us(snapshot: &Snapshot, model: &str) -> Option<u64> {
    let is_alone = |entry: &&Arc<JournalEntry>| entry.models.iter().eq([model]);
    snapshot.changes.iter().rev().filter(is_alone).find_map(|entry| entry.built_us)
}

/// Returns the refusal for the error of a request that may change something.
pub(super) fn refusal(run: &str, error: ClientError) -> Refusal {
    let unanswered = |reason: &str| {
        let text = format!("{run} {reason}: the journal shows whether the change was applied");
        Refusal::of_kind(RefusalKind::Unanswered, text)
    };
    match error {
        ClientError::Refused(ErrorDetail { refusal: Some(refusal), .. }) => refusal,
        ClientError::Refused(detail) => Refusal::of_kind(kind(detail.kind), detail.message),
        ClientError::Unreachable { .. } => Refusal::of_kind(
            RefusalKind::Stopped,
            format!("{run} is not reachable: nothing has changed"),
        ),
        ClientError::Silent(_) => unanswered("does not answer"),
        ClientError::Lost { .. } => unanswered("was lost before it answered"),
        ClientError::Unreadable { .. } => unanswered("sent an answer that cannot be read"),
    }
}

fn kind(kind: ErrorKind) -> RefusalKind {
    match kind {
        ErrorKind::ReadOnly | ErrorKind::Forbidden => RefusalKind::ReadOnly,
        ErrorKind::Busy => RefusalKind::Busy,
        ErrorKind::Stopped => RefusalKind::Stopped,
        _ => RefusalKind::NotAllowed,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::control::api::ErrorBody;

    #[test]
    fn other_version_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let host = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            let error = ErrorDetail::new(ErrorKind::ApiVersion, "version 1, and this is version 2");
            let body = serde_json::to_string(&ErrorBody { error }).unwrap();
            let length = body.len();
            let head = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all((head + &body).as_bytes()).unwrap();
        });
        let error = RemoteControl::connect(&Address::Socket(path), "console").err().unwrap();
        assert!(error.to_string().contains("this is version 2"), "{error}");
        host.join().unwrap();
    }

    #[test]
    fn lost_answer_may_have_been_applied() {
        let address = Address::Socket("/run/x.sock".into());
        let refused = refusal("night", ClientError::Silent(address.clone()));
        assert_eq!(refused.kind, RefusalKind::Unanswered);
        assert!(refused.reason.contains("the journal shows"), "{refused}");
        let error = io::ErrorKind::NotFound.into();
        let refused = refusal("night", ClientError::Unreachable { address, error });
        assert_eq!(refused.kind, RefusalKind::Stopped);
    }
}
