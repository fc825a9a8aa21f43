//! The library's call: hand a request in and await its outcome. Dropping the future gives up a
//! request that no instance has taken yet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::inner::Inner;
use super::request::{Door, Outcome, Request, RequestError};
use crate::engine::NamedTensor;

/// A model's door for callers that wait with `.await`. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

/// Cancels a request that is still waiting when its caller goes away.
struct CancelOnDrop {
    inner: Arc<Inner>,
    id: Option<u64>,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.inner.cancel(id);
        }
    }
}

impl Client {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// The same door for callers that want to be called back.
    pub fn door(&self) -> Arc<dyn Door> {
        self.inner.clone()
    }

    /// Runs one request. The outcome's `result` says how it ended; dropping the future before that
    /// cancels the request if it still waits.
    pub async fn infer(&self, inputs: Arc<Vec<NamedTensor>>) -> Outcome {
        let (sender, receiver) = oneshot::channel();
        let arrival = Instant::now();
        let reply = Box::new(move |outcome| {
            // The receiver is gone when the caller gave up; then nobody wants the outcome.
            let _ = sender.send(outcome);
        });
        let id = self.inner.hand_in(Request { inputs, arrival, reply });
        let mut guard = CancelOnDrop { inner: self.inner.clone(), id };
        let outcome = receiver.await;
        guard.id = None;
        outcome.unwrap_or_else(|_| Outcome {
            result: Err(RequestError::Cancelled),
            queue: arrival.elapsed(),
            compute: Duration::ZERO,
        })
    }
}
