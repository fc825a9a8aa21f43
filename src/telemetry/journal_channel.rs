//! The bounded channel of journal entries, from the scheduler to the writer of the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{
    Receiver, RecvError, RecvTimeoutError, SyncSender, TrySendError, sync_channel,
};
use std::time::Duration;

use super::journal::JournalEntry;

/// Entries that wait for a slow receiver. Each is shared with the scheduler's own journal.
pub const JOURNAL_CAPACITY: usize = 4096;

/// Both ends of a channel.
pub struct JournalChannel {
    /// The scheduler's end.
    pub sender: JournalSender,
    /// The writer's end.
    pub receiver: JournalReceiver,
}

impl JournalChannel {
    /// A channel that holds at most `capacity` entries, 1 or more.
    pub fn new(capacity: usize) -> Self {
        let (sender, receiver) = sync_channel(capacity.max(1));
        let dropped = Arc::new(AtomicU64::new(0));
        Self {
            sender: JournalSender { entries: sender, dropped: dropped.clone() },
            receiver: JournalReceiver { entries: receiver, dropped },
        }
    }
}

impl Default for JournalChannel {
    fn default() -> Self {
        Self::new(JOURNAL_CAPACITY)
    }
}

/// Sends entries and never waits: a disk that hangs must not delay a change.
#[derive(Debug)]
pub struct JournalSender {
    entries: SyncSender<Arc<JournalEntry>>,
    dropped: Arc<AtomicU64>,
}

impl JournalSender {
    /// Sends an entry that is new or has changed. Drops and counts it if the channel is full.
    pub fn send(&self, entry: Arc<JournalEntry>) {
        match self.entries.try_send(entry) {
            // A receiver that has ended has reported why.
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Receives entries. The stream ends when the scheduler has stopped.
#[derive(Debug)]
pub struct JournalReceiver {
    entries: Receiver<Arc<JournalEntry>>,
    dropped: Arc<AtomicU64>,
}

impl JournalReceiver {
    /// Waits for the next entry.
    ///
    /// # Errors
    /// [`RecvError`] if the stream has ended.
    pub fn recv(&self) -> Result<Arc<JournalEntry>, RecvError> {
        self.entries.recv()
    }

    /// Waits for the next entry for at most `timeout`.
    ///
    /// # Errors
    /// [`RecvTimeoutError`] if no entry came in time or the stream has ended.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Arc<JournalEntry>, RecvTimeoutError> {
        self.entries.recv_timeout(timeout)
    }

    /// Returns the entries that have arrived, without waiting.
    pub fn arrived(&self) -> impl Iterator<Item = Arc<JournalEntry>> {
        self.entries.try_iter()
    }

    /// Returns the number of entries dropped so far because the channel was full. An entry counts
    /// once for each of its states that was dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_channel_drops_without_waiting() {
        let JournalChannel { sender, receiver } = JournalChannel::new(2);
        for _ in 0..5 {
            sender.send(Arc::default());
        }
        assert_eq!((receiver.arrived().count(), receiver.dropped()), (2, 3));
        sender.send(Arc::default());
        assert!(receiver.recv().is_ok());
        drop(sender);
        assert!(receiver.recv().is_err());
    }
}
