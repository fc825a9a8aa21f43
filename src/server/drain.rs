//! The end of a server: it stops to accept requests before it closes.

use tokio::sync::watch;

/// The state of the drain, shared by all connections.
#[derive(Clone)]
pub struct Drain {
    started: watch::Sender<bool>,
}

impl Drain {
    /// Starts the drain: new requests are refused from now on, those admitted are still answered.
    pub fn start(&self) {
        self.started.send_replace(true);
    }

    /// Returns true once the drain has started.
    pub fn has_started(&self) -> bool {
        *self.started.borrow()
    }

    /// Waits until the drain starts.
    pub async fn wait_for_start(&self) {
        let mut started = self.started.subscribe();
        // The sender lives as long as `self`.
        let _ = started.wait_for(|started| *started).await;
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self { started: watch::Sender::new(false) }
    }
}
