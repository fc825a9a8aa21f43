//! The thread that follows a host: receives its snapshots, and connects again after a loss.

use std::io::ErrorKind;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::mirror::Mirror;
use super::opened::Opened;
use crate::control::client::{ClientError, ControlClient, LineStream};
use crate::machine::request_short_slice;
use crate::scheduler::Connection;
use crate::telemetry::Snapshot;

/// The pause after the first attempt to connect again; it doubles after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The longest wait for an answer while the connection is made again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest wait for a snapshot before the end of this thread is checked.
const POLL: Duration = Duration::from_millis(250);

/// A host that sends no snapshot for this long is suspended, or its machine is out of reach. Hosts send at
/// least one per second.
const QUIET: Duration = Duration::from_secs(4);

/// A connection that was quiet for this long is made again: its other end may be gone without a trace.
const DEAD: Duration = Duration::from_secs(30);

/// What the thread and the callers share.
pub(super) struct Followed {
    pub(super) mirror: Mutex<Mirror>,
    pub(super) snapshots: watch::Sender<Arc<Snapshot>>,
    pub(super) connection: watch::Sender<Connection>,
}

impl Followed {
    /// What is known after the first connection.
    pub(super) fn new(opened: &Opened) -> Self {
        Self {
            mirror: Mutex::new(opened.mirror.clone()),
            snapshots: watch::Sender::new(Arc::new(opened.snapshot.clone())),
            connection: watch::Sender::new(Connection::Connected { pid: opened.info.pid }),
        }
    }

    /// Reads or changes the known state.
    pub(super) fn with_mirror<T>(&self, call: impl FnOnce(&mut Mirror) -> T) -> T {
        call(&mut self.mirror.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_connection(&self, connection: Connection) {
        self.connection.send_if_modified(|known| {
            let is_new = *known != connection;
            *known = connection;
            is_new
        });
    }
}

/// Follows a host until the other end of `end` is dropped.
pub(super) struct Follower {
    pub(super) client: ControlClient,
    pub(super) followed: Arc<Followed>,
    pub(super) end: Receiver<()>,
    /// The process that is followed.
    pub(super) pid: u32,
}

impl Follower {
    /// Runs the thread. The first connection is made already.
    pub(super) fn run(mut self, mut stream: LineStream) {
        request_short_slice();
        while let Some(fault) = self.receive(&mut stream) {
            let Some(opened) = self.connect_again(&fault) else { return };
            stream = self.take_opened(opened);
        }
    }

    /// Receives snapshots until the connection is lost; `None` if the thread must end.
    fn receive(&self, stream: &mut LineStream) -> Option<ClientError> {
        let mut last = Instant::now();
        loop {
            match stream.next::<Snapshot>(POLL) {
                Ok(Some(snapshot)) => {
                    last = Instant::now();
                    self.followed.set_connection(Connection::Connected { pid: self.pid });
                    self.take_snapshot(snapshot);
                }
                Ok(None) if last.elapsed() > DEAD => {
                    return Some(ClientError::Silent(self.client.address().clone()));
                }
                Ok(None) if last.elapsed() > QUIET => {
                    let reason = "it does not answer; it may be suspended".to_owned();
                    self.followed.set_connection(Connection::Lost { since: last, reason });
                }
                Ok(None) => {}
                Err(fault) => return Some(fault),
            }
            if self.ends_within(Duration::ZERO) {
                return None;
            }
        }
    }

    fn take_snapshot(&self, snapshot: Snapshot) {
        let has_changed = self.followed.with_mirror(|mirror| mirror.take_snapshot(&snapshot));
        self.followed.snapshots.send_replace(Arc::new(snapshot));
        // a snapshot does not have the layout's description
        if has_changed && let Ok(live) = self.client.layout() {
            self.followed.with_mirror(|mirror| mirror.set_description(live.layout.description));
        }
    }

    /// Tries to connect until it succeeds; `None` if the thread must end.
    fn connect_again(&self, fault: &ClientError) -> Option<Opened> {
        let since = match &*self.followed.connection.borrow() {
            Connection::Lost { since, .. } | Connection::Ended { since } => *since,
            Connection::Connected { .. } => Instant::now(),
        };
        self.followed.set_connection(connection_after(fault, since));
        let mut pause = FIRST_PAUSE;
        loop {
            match Opened::new(&self.client, PATIENCE) {
                Ok(opened) => return Some(opened),
                Err(fault) => self.followed.set_connection(connection_after(&fault, since)),
            }
            if self.ends_within(pause) {
                return None;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Takes in a new connection, which may be to another process of the same name.
    fn take_opened(&mut self, opened: Opened) -> LineStream {
        let Opened { info, snapshot, mirror, stream } = opened;
        self.pid = info.pid;
        // versions of another process count anew
        self.followed.with_mirror(|known| *known = mirror);
        self.followed.set_connection(Connection::Connected { pid: info.pid });
        self.followed.snapshots.send_replace(Arc::new(snapshot));
        stream
    }

    fn ends_within(&self, wait: Duration) -> bool {
        self.end.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected)
    }
}

/// Returns the state of a connection after an error.
fn connection_after(fault: &ClientError, since: Instant) -> Connection {
    match fault {
        ClientError::Unreachable { error, .. }
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
        {
            Connection::Ended { since }
        }
        ClientError::Silent(_) => Connection::Lost {
            since,
            reason: "it does not answer; it may be loading its models, or be suspended".to_owned(),
        },
        ClientError::Lost { reason, .. } => Connection::Lost { since, reason: reason.clone() },
        other => Connection::Lost { since, reason: other.to_string() },
    }
}
