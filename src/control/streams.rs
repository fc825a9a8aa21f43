//! Streams of JSON, one object per line. A reader that is slow skips snapshots; it holds at most a few lines
//! and delays nobody.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use tokio::sync::watch;

use super::host::HostState;
use super::routes::CheckedAccess;
use super::snapshot_json::SnapshotParts;
use crate::telemetry::{JournalEntry, Snapshot};

/// Lines that wait for a reader besides those in the connection's buffer.
const WAITING_LINES: usize = 1;

/// Streams each snapshot from the present one on, until the scheduler stops or the reader's token is replaced.
pub(super) fn snapshots(
    state: &Arc<HostState>,
    access: CheckedAccess,
    parts: SnapshotParts,
) -> Response<Body> {
    let (mut sender, body) = Channel::new(WAITING_LINES);
    let state = state.clone();
    let mut snapshots = newest(&state);
    tokio::spawn(async move {
        while snapshots.changed().await.is_ok() && access.is_in_force() {
            let snapshot = snapshots.borrow_and_update().clone();
            let Ok(line) = state.snapshots.line(&snapshot, parts) else { return };
            if send(&mut sender, line).await.is_err() {
                return;
            }
        }
    });
    stream(body)
}

/// Streams the entries of the journal: first those of the run so far, and then each one that is new or has
/// changed, such as by its verdict. It ends as [`snapshots`] does.
pub(super) fn journal(
    state: &Arc<HostState>,
    access: CheckedAccess,
    first: Vec<Arc<JournalEntry>>,
) -> Response<Body> {
    let (mut sender, body) = Channel::new(WAITING_LINES);
    let mut snapshots = newest(state);
    tokio::spawn(async move {
        let mut sent = SentEntries::default();
        if send_entries(&mut sender, sent.changed(&first)).await.is_err() {
            return;
        }
        while snapshots.changed().await.is_ok() && access.is_in_force() {
            let entries = sent.changed(&snapshots.borrow_and_update().changes);
            if send_entries(&mut sender, entries).await.is_err() {
                return;
            }
        }
    });
    stream(body)
}

/// The entries that a reader has.
#[derive(Default)]
struct SentEntries(HashMap<u64, Arc<JournalEntry>>);

impl SentEntries {
    /// Returns the entries that the reader does not have in this state, and remembers them.
    fn changed(&mut self, entries: &[Arc<JournalEntry>]) -> Vec<Arc<JournalEntry>> {
        let is_new = |entry: &&Arc<JournalEntry>| {
            // the scheduler shares entries that have not changed
            let is_same = |sent: &Arc<JournalEntry>| Arc::ptr_eq(sent, entry) || sent == *entry;
            !self.0.get(&entry.id).is_some_and(is_same)
        };
        let changed: Vec<_> = entries.iter().filter(is_new).cloned().collect();
        for entry in &changed {
            self.0.insert(entry.id, entry.clone());
        }
        // entries that are no longer in the snapshots do not change any more
        if let Some(oldest) = entries.first().map(|entry| entry.id) {
            self.0.retain(|id, _| *id >= oldest);
        }
        changed
    }
}

async fn send_entries(
    sender: &mut Sender<Bytes, Infallible>,
    entries: Vec<Arc<JournalEntry>>,
) -> Result<(), ReaderGone> {
    for entry in entries {
        let Ok(mut line) = serde_json::to_vec(&entry) else { continue };
        line.push(b'\n');
        send(sender, line.into()).await?;
    }
    Ok(())
}

/// The reader has closed its connection.
struct ReaderGone;

async fn send(sender: &mut Sender<Bytes, Infallible>, line: Bytes) -> Result<(), ReaderGone> {
    sender.send_data(line).await.map_err(|_| ReaderGone)
}

/// Returns the snapshots; the present one counts as new.
fn newest(state: &HostState) -> watch::Receiver<Arc<Snapshot>> {
    let mut snapshots = state.host.control.snapshots();
    snapshots.mark_changed();
    snapshots
}

fn stream(body: Channel<Bytes, Infallible>) -> Response<Body> {
    let mut answer = Response::new(Body::new(body));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_entries_are_sent() {
        let entry = |id, undone| Arc::new(JournalEntry { id, undone, ..JournalEntry::default() });
        let mut sent = SentEntries::default();
        let ids = |entries: Vec<Arc<JournalEntry>>| -> Vec<u64> {
            entries.iter().map(|entry| entry.id).collect()
        };
        assert_eq!(ids(sent.changed(&[entry(1, false), entry(2, false)])), [1, 2]);
        assert!(sent.changed(&[entry(1, false), entry(2, false)]).is_empty());
        assert_eq!(ids(sent.changed(&[entry(2, true), entry(3, false)])), [2, 3]);
        assert_eq!(sent.0.len(), 2);
    }
}
