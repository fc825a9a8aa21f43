//! The library's call: hand a request in and await its outcome. Dropping the future gives up a
//! request that no instance has taken yet.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::gate_state::Seats;
use super::inner::Inner;
use super::request::{Outcome, Request, RequestError, RequestSender};
use crate::engine::NamedTensor;
use crate::telemetry::Recorder;

/// A model's door for callers that wait with `.await`. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

/// A request that was handed in. Dropping it gives the request up where it still waits.
pub struct Pending {
    inner: Arc<Inner>,
    id: Option<u64>,
    arrival: Instant,
    outcome: oneshot::Receiver<Outcome>,
}

impl Client {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// The same door for callers that want to be called back.
    pub fn sender(&self) -> Arc<dyn RequestSender> {
        self.inner.clone()
    }

    /// The model's latency windows.
    pub fn recorder(&self) -> &Recorder {
        &self.inner.recorder
    }

    /// The model's instances by what they do.
    pub fn seats(&self) -> Seats {
        self.inner.gate.seats()
    }

    /// Runs one request. The outcome's `result` says how it ended; dropping the future before that
    /// cancels the request if it still waits.
    pub async fn infer(&self, inputs: Arc<Vec<NamedTensor>>) -> Outcome {
        self.submit(inputs).await
    }

    /// Hands a request in at once; await what it returns for the outcome.
    pub fn submit(&self, inputs: Arc<Vec<NamedTensor>>) -> Pending {
        let (sender, outcome) = oneshot::channel();
        let arrival = Instant::now();
        let reply = Box::new(move |outcome| {
            // The receiver is gone when the caller gave up; then nobody wants the outcome.
            let _ = sender.send(outcome);
        });
        let id = self.inner.hand_in(Request { inputs, arrival, reply });
        Pending { inner: self.inner.clone(), id, arrival, outcome }
    }
}

impl Future for Pending {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let Poll::Ready(outcome) = Pin::new(&mut self.outcome).poll(context) else {
            return Poll::Pending;
        };
        self.id = None;
        Poll::Ready(outcome.unwrap_or_else(|_| Outcome {
            result: Err(RequestError::Cancelled),
            queue: self.arrival.elapsed(),
            compute: Duration::ZERO,
        }))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.inner.cancel(id);
        }
    }
}
