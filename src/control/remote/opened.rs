//! A connection to a host that has just been made.

use std::time::Duration;

use crate::control::api::RunInfo;
use crate::control::client::{ClientError, ControlClient, LineStream};
use crate::control::snapshot_json::SnapshotParts;
use crate::telemetry::Snapshot;

use super::mirror::Mirror;

/// A new connection, with what a client must know before it can plan.
pub(super) struct Opened {
    /// The run.
    pub info: RunInfo,
    /// The first snapshot.
    pub snapshot: Snapshot,
    /// The state that it shows.
    pub mirror: Mirror,
    /// The snapshots that follow.
    pub stream: LineStream,
}

impl Opened {
    /// Connects to a host, and waits at most `patience` for each answer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(super) fn new(client: &ControlClient, patience: Duration) -> Result<Self, ClientError> {
        let info = client.info()?;
        let machine = client.machine()?;
        let mut stream = client.snapshots(SnapshotParts::ALL)?;
        let first = stream.next(patience)?;
        let snapshot: Snapshot =
            first.ok_or_else(|| ClientError::Silent(client.address().clone()))?;
        let description = client.layout()?.layout.description;
        let mirror = Mirror::new(&snapshot, description, machine);
        Ok(Self { info, snapshot, mirror, stream })
    }
}
