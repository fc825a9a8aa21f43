//! The end of a server: it refuses new requests and finishes those it has admitted, before it closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, watch};

/// The state of the drain, shared by all connections. Cheap to clone.
#[derive(Clone)]
pub struct Drain {
    started: watch::Sender<bool>,
    admitted: Arc<Admitted>,
}

/// The requests that are admitted and not finished.
#[derive(Default)]
struct Admitted {
    count: AtomicUsize,
    finished: Notify,
}

/// A request that the end of the server waits for, until this is dropped.
pub struct AdmittedRequest {
    drain: Drain,
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

    /// Admits a request, for which the end of the server waits; `None` once the drain has started.
    pub fn admit(&self) -> Option<AdmittedRequest> {
        self.admitted.count.fetch_add(1, Ordering::SeqCst);
        let request = AdmittedRequest { drain: self.clone() };
        // Counted before the check, so that a drain that starts meanwhile waits for it.
        (!self.has_started()).then_some(request)
    }

    /// Returns the number of admitted requests that have not finished.
    pub fn admitted(&self) -> usize {
        self.admitted.count.load(Ordering::SeqCst)
    }

    /// Waits until no admitted request is left. Call it after [`Drain::start`].
    pub async fn wait_for_admitted(&self) {
        loop {
            let finished = self.admitted.finished.notified();
            tokio::pin!(finished);
            finished.as_mut().enable();
            if self.admitted() == 0 {
                return;
            }
            finished.await;
        }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self { started: watch::Sender::new(false), admitted: Arc::default() }
    }
}

impl Drop for AdmittedRequest {
    fn drop(&mut self) {
        let admitted = &self.drain.admitted;
        if admitted.count.fetch_sub(1, Ordering::SeqCst) == 1 && self.drain.has_started() {
            admitted.finished.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn drain_waits_for_admitted_requests() {
        let drain = Drain::default();
        let (first, second) = (drain.admit(), drain.admit());
        assert!(first.is_some() && second.is_some());
        drain.start();
        drain.wait_for_start().await;
        assert!(drain.admit().is_none());
        let waiting = tokio::spawn({
            let drain = drain.clone();
            async move { drain.wait_for_admitted().await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
        assert_eq!(drain.admitted(), 0);
    }
}
