//! The channel from the owner to the observer, in which at most one state waits.
//!
//! Without a lock: the owner has a real-time priority, and a lock's holder may have lost its core.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::messages::{ObserverMessage, SchedulerState};
use crate::telemetry::Snapshot;

/// Both ends of a channel.
pub(super) struct ObserverChannel {
    pub(super) sender: ObserverSender,
    pub(super) receiver: ObserverReceiver,
}

impl ObserverChannel {
    /// An empty channel.
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::channel();
        let waits = Arc::new(AtomicBool::new(false));
        Self {
            sender: ObserverSender { messages: sender, waits: waits.clone() },
            receiver: ObserverReceiver { messages: receiver, waits },
        }
    }
}

/// The owner's end.
pub(super) struct ObserverSender {
    messages: Sender<ObserverMessage>,
    /// True while a state waits in the channel.
    waits: Arc<AtomicBool>,
}

impl ObserverSender {
    /// Returns true if the observer has taken the last state. Until then the owner keeps the next
    /// one, so that the observer gets the newest and never a backlog.
    pub(super) fn is_ready(&self) -> bool {
        !self.waits.load(Ordering::Acquire)
    }

    /// Sends a state.
    pub(super) fn send_state(&self, state: SchedulerState) {
        self.waits.store(true, Ordering::Release);
        // The observer survives its own panics and outlives the owner.
        let _ = self.messages.send(ObserverMessage::State(Box::new(state)));
    }

    /// Stops the observer, which answers with its final snapshot or drops `reply`.
    pub(super) fn stop(&self, reply: Sender<Snapshot>) {
        let _ = self.messages.send(ObserverMessage::Stop(reply));
    }
}

/// The observer's end.
pub(super) struct ObserverReceiver {
    messages: Receiver<ObserverMessage>,
    waits: Arc<AtomicBool>,
}

impl ObserverReceiver {
    /// Waits for a message; `None` if the owner has ended.
    pub(super) fn recv(&self) -> Option<ObserverMessage> {
        self.messages.recv().ok().map(|message| self.take(message))
    }

    /// Waits for a message for at most `timeout`.
    ///
    /// # Errors
    /// [`RecvTimeoutError`] if none came in time or the owner has ended.
    pub(super) fn recv_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ObserverMessage, RecvTimeoutError> {
        self.messages.recv_timeout(timeout).map(|message| self.take(message))
    }

    fn take(&self, message: ObserverMessage) -> ObserverMessage {
        self.waits.store(false, Ordering::Release);
        message
    }
}
