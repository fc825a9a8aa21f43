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
use super::rejection::Rejection;
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
    /// The request's number and its pool; `None` once it has ended.
    waiting: Option<(RequestId, Arc<Inner>)>,
    arrival: Instant,
    outcome: oneshot::Receiver<Outcome>,
}

impl Client {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Returns the sender for callers that want to be called back.
    pub fn sender(&self) -> Arc<dyn RequestSender> {
        Arc::new(CallerSender(self.clone()))
    }

    /// Returns true if both send to the same pool.
    pub fn is_same_pool(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
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
        let number = self.inner.submit_job(job, arrival);
        let waiting = number.map(|number| (self.inner.request_id(number), self.inner.clone()));
        Pending { waiting, arrival, outcome }
    }
}

impl Pending {
    /// Returns a request that has been rejected.
    pub(crate) fn rejected(reason: Rejection) -> Self {
        let (sender, outcome) = oneshot::channel();
        let result = Err(RequestError::Rejected { reason });
        // The receiver is right here.
        let _ = sender.send(Outcome { result, queue: Duration::ZERO, compute: Duration::ZERO });
        Self { waiting: None, arrival: Instant::now(), outcome }
    }

    /// Returns the number by which [`RequestSender::cancel`] cancels it; `None` once it has ended.
    pub fn id(&self) -> Option<RequestId> {
        self.waiting.as_ref().map(|(id, _)| *id)
    }
}

impl Client {
    /// Returns the model's inputs and outputs.
    pub(crate) fn signature(&self) -> Arc<Signature> {
        self.inner.signature()
    }

    /// Submits a caller's request, as [`RequestSender::submit`].
    pub(crate) fn send(&self, request: Request) -> Option<RequestId> {
        mark_caller(&self.inner);
        self.inner.submit(request)
    }

    /// Cancels a request, as [`RequestSender::cancel`].
    pub(crate) fn cancel(&self, id: RequestId) -> bool {
        RequestSender::cancel(&*self.inner, id)
    }
}

/// Records that the model serves requests other than those of the built-in load.
fn mark_caller(inner: &Inner) {
    if !inner.has_callers.load(Ordering::Relaxed) {
        inner.has_callers.store(true, Ordering::Relaxed);
    }
}

/// Sends the requests of callers, whose sizes are real.
struct CallerSender(Client);

impl RequestSender for CallerSender {
    fn signature(&self) -> Arc<Signature> {
        self.0.signature()
    }

    fn submit(&self, request: Request) -> Option<RequestId> {
        self.0.send(request)
    }

    fn cancel(&self, id: RequestId) -> bool {
        self.0.cancel(id)
    }
}

impl Future for Pending {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let Poll::Ready(outcome) = Pin::new(&mut self.outcome).poll(context) else {
            return Poll::Pending;
        };
        self.waiting = None;
        Poll::Ready(outcome.unwrap_or_else(|_| Outcome {
            result: Err(RequestError::Cancelled),
            queue: self.arrival.elapsed(),
            compute: Duration::ZERO,
        }))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some((id, pool)) = self.waiting.take() {
            pool.cancel(id);
        }
    }
}
