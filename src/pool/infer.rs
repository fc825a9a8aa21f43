//! The library's call: submit a request and await its outcome. Dropping the future cancels a request
//! that no instance has taken yet.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::gate_state::{JobTerms, Seats};
use super::inner::{Inner, RequestOrigin};
use super::job::{Answer, Job, ReplyTarget};
use super::recording::{RecordingError, RecordingOptions, RunningRecording};
use super::rejection::Rejection;
use super::request::{Outcome, Request, RequestError, RequestId, RequestOptions, RequestSender};
use crate::engine::{NamedTensor, Signature};
use crate::machine::running_now;
use crate::telemetry::{Recorder, RequestCounts};

/// Sends requests to a model for callers that wait with `.await`. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

/// Pauses of a thread that waits awake, between two looks at the answer.
const SPINS_PER_LOOK: u32 = 16;

/// A submitted request. Dropping it cancels the request if it still waits.
pub struct Pending {
    /// The request's number and its pool; `None` once it has ended.
    waiting: Option<(RequestId, Arc<Inner>)>,
    arrival: Instant,
    answer: oneshot::Receiver<Answer>,
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

    /// Returns the number of the model's requests per state.
    pub fn counts(&self) -> RequestCounts {
        self.inner.gate.counts()
    }

    /// Returns the number of the model's instances per state.
    pub fn seats(&self) -> Seats {
        self.inner.gate.seats()
    }

    /// Starts to record the requests of callers for a replay; those of the built-in load are left out. The
    /// recording ends with the requested number of requests, at [`super::MAX_RECORDED_BYTES`], or when this
    /// model is removed or replaced by one with other inputs. A request that comes faster than the recording copies is left out.
    ///
    /// # Errors
    /// [`RecordingError`] if its requests are being recorded already, or the file cannot be created.
    pub fn record(&self, options: RecordingOptions) -> Result<RunningRecording, RecordingError> {
        RunningRecording::start(&self.inner, options)
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
        Self::submit_to(|| Some(self.clone()), inputs, options)
    }
}

/// Submissions to the pool that `find` returns. If that pool is being removed, `find` is called again;
/// the request is rejected when it returns the same pool twice.
impl Client {
    /// As [`Client::submit_with`]. Rejects the request with [`Rejection::NoSuchModel`] if there is no
    /// pool.
    pub(crate) fn submit_to(
        find: impl Fn() -> Option<Self>,
        inputs: Arc<Vec<NamedTensor>>,
        options: RequestOptions,
    ) -> Pending {
        let (sender, answer) = oneshot::channel();
        let now = running_now();
        let arrival = options.arrival.unwrap_or(now);
        let reply = ReplyTarget::Channel(sender);
        let job = Job { inputs, arrival, reply, charge: None, alone: None };
        Pending { waiting: Self::offer_to(find, job, options.terms(now)), arrival, answer }
    }

    /// As [`RequestSender::submit`]. Rejects the request with [`Rejection::NoSuchModel`] if there is no
    /// pool.
    pub(crate) fn send_to(find: impl Fn() -> Option<Self>, request: Request) -> Option<RequestId> {
        let terms = request.options.terms(running_now());
        Self::offer_to(find, Job::new(request), terms).map(|(id, _)| id)
    }

    fn offer_to(
        find: impl Fn() -> Option<Self>,
        mut job: Job,
        terms: JobTerms,
    ) -> Option<(RequestId, Arc<Inner>)> {
        let mut removed: Option<Self> = None;
        let reason = loop {
            let Some(client) = find() else { break Rejection::NoSuchModel };
            if removed.as_ref().is_some_and(|removed| removed.is_same_pool(&client)) {
                break Rejection::Removed;
            }
            mark_caller(&client.inner);
            match client.inner.offer_job(job, terms, RequestOrigin::Caller) {
                Ok(number) => {
                    return number.map(|number| (client.inner.request_id(number), client.inner));
                }
                Err(returned) => job = returned,
            }
            removed = Some(client);
        };
        job.reject(RequestError::Rejected { reason }, terms.since);
        None
    }
}

impl Pending {
    /// Waits awake for the outcome, until `limit`. Returns `None` if it has not come; await it then.
    pub(crate) fn wait_awake(&mut self, limit: Duration) -> Option<Outcome> {
        let start = Instant::now();
        loop {
            if let Ok(answer) = self.answer.try_recv() {
                self.waiting = None;
                return Some(answer.into());
            }
            if start.elapsed() >= limit {
                return None;
            }
            for _ in 0..SPINS_PER_LOOK {
                std::hint::spin_loop();
            }
        }
    }

    /// Returns the number by which [`RequestSender::cancel`] cancels it; `None` once it has ended.
    pub fn id(&self) -> Option<RequestId> {
        self.waiting.as_ref().map(|(id, _)| *id)
    }
}

impl Client {
    /// Returns the model's inputs and outputs; empty before it is loaded.
    pub fn signature(&self) -> Arc<Signature> {
        self.inner.signature()
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
        mark_caller(&self.0.inner);
        let inner = &self.0.inner;
        let terms = request.options.terms(running_now());
        let number = inner.submit_job(Job::new(request), terms, RequestOrigin::Caller);
        number.map(|number| inner.request_id(number))
    }

    fn cancel(&self, id: RequestId) -> bool {
        self.0.cancel(id)
    }
}

impl Future for Pending {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let Poll::Ready(answer) = Pin::new(&mut self.answer).poll(context) else {
            return Poll::Pending;
        };
        self.waiting = None;
        Poll::Ready(answer.map_or_else(
            |_| Outcome {
                result: Err(RequestError::Cancelled),
                queue: running_now().saturating_duration_since(self.arrival),
                compute: Duration::ZERO,
            },
            Outcome::from,
        ))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some((id, pool)) = self.waiting.take() {
            pool.discard(id);
        }
    }
}
