//! The library's call: submit a request and await its outcome. Dropping the future cancels a request
//! that no instance has taken yet.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::gate_state::Seats;
use super::inner::Inner;
use super::job::{Job, ReplyTarget};
use super::request::{Outcome, Request, RequestError, RequestId, RequestOptions, RequestSender};
use crate::engine::{NamedTensor, Signature};
use crate::telemetry::Recorder;

/// Sends requests to a model for callers that wait with `.await`. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

/// A submitted request. Dropping it cancels the request if it still waits.
pub struct Pending {
    inner: Arc<Inner>,
    id: Option<RequestId>,
    arrival: Instant,
    outcome: oneshot::Receiver<Outcome>,
}

impl Client {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Returns the sender for callers that want to be called back.
    pub fn sender(&self) -> Arc<dyn RequestSender> {
        Arc::new(CallerSender { inner: self.inner.clone() })
    }

    /// Returns the model's latency windows.
    pub fn recorder(&self) -> &Recorder {
        &self.inner.recorder
    }

    /// Returns the number of the model's instances per state.
    pub fn seats(&self) -> Seats {
        self.inner.gate.seats()
    }

    /// Runs one request and returns its outcome; dropping the future before that
    /// cancels the request if it still waits.
    pub async fn infer(&self, inputs: Arc<Vec<NamedTensor>>) -> Outcome {
        self.submit(inputs).await
    }

    /// Submits a request at once. Await the returned value for the outcome.
    pub fn submit(&self, inputs: Arc<Vec<NamedTensor>>) -> Pending {
        self.submit_with(inputs, RequestOptions::default())
    }

    /// Submits a request at once, with a deadline or a priority. Await the returned value for the outcome.
    pub fn submit_with(&self, inputs: Arc<Vec<NamedTensor>>, options: RequestOptions) -> Pending {
        mark_caller(&self.inner);
        let (sender, outcome) = oneshot::channel();
        let arrival = Instant::now();
        let reply = ReplyTarget::Channel(sender);
        let job = Job { inputs, arrival, deadline: options.deadline, reply, charge: None };
        let id = self.inner.submit_job(job, arrival).map(|number| self.inner.request_id(number));
        Pending { inner: self.inner.clone(), id, arrival, outcome }
    }
}

impl Pending {
    /// Returns the number by which [`RequestSender::cancel`] cancels it; `None` once it has ended.
    pub fn id(&self) -> Option<RequestId> {
        self.id
    }
}

/// Records that the model serves requests other than those of the built-in load.
fn mark_caller(inner: &Inner) {
    if !inner.has_callers.load(Ordering::Relaxed) {
        inner.has_callers.store(true, Ordering::Relaxed);
    }
}

/// Sends the requests of callers, whose sizes are real.
struct CallerSender {
    inner: Arc<Inner>,
}

impl RequestSender for CallerSender {
    fn signature(&self) -> Arc<Signature> {
        self.inner.signature()
    }

    fn submit(&self, request: Request) -> Option<RequestId> {
        mark_caller(&self.inner);
        self.inner.submit(request)
    }

    fn cancel(&self, id: RequestId) -> bool {
        RequestSender::cancel(&*self.inner, id)
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
