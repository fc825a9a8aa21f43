//! Requests to a pool and their outcomes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::gate_state::JobTerms;
use super::rejection::Rejection;
use crate::engine::{EngineError, InputFault, NamedTensor, Signature};
use crate::machine::{panic_message, running_now};

/// The reason why a request was not answered with tensors. Each submitted request ends in exactly one way.
#[derive(Clone, Debug, Error)]
pub enum RequestError {
    /// The model did not accept it, or removed it from its queue; no instance answered it.
    #[error("rejected: {reason}")]
    Rejected {
        /// The reason.
        reason: Rejection,
    },
    /// Its deadline passed, or it waited longer than the queue's timeout, before an instance ran it.
    #[error("timed out after {waited:?} in the queue")]
    TimedOut {
        /// Its time in the queue.
        waited: Duration,
    },
    /// The caller cancelled it while it waited.
    #[error("cancelled")]
    Cancelled,
    /// Its tensors do not fit the model: the request is wrong, and would fail again.
    #[error("input `{input}`: {reason}")]
    Input {
        /// The input's name.
        input: String,
        /// The fault, and the names, types or shapes that the model expects.
        reason: InputFault,
    },
    /// It ran alone and exceeded the model's memory budget, or is no smaller than one that did.
    #[error("memory budget: {reason}")]
    OverBudget {
        /// The memory needed, the budget and what to do.
        reason: String,
    },
    /// The engine refused its values or shapes: the request is wrong, and would fail again.
    #[error(transparent)]
    Invalid(EngineError),
    /// The engine failed, and did not say that the request is at fault.
    #[error(transparent)]
    Failed(EngineError),
    /// The engine panicked; the instance was replaced.
    #[error("the engine panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
}

impl From<EngineError> for RequestError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Input { input, reason } => Self::Input { input, reason },
            EngineError::Memory { reason } => Self::OverBudget { reason },
            error @ EngineError::InvalidRequest { .. } => Self::Invalid(error),
            error => Self::Failed(error),
        }
    }
}

/// The outcome of a request and its latency.
#[derive(Debug)]
pub struct Outcome {
    /// The output tensors, or the reason why there are none.
    pub result: Result<Vec<NamedTensor>, RequestError>,
    /// From the intended arrival until an instance took it (or until it was rejected).
    pub queue: Duration,
    /// Time in the instance; zero if none took it.
    pub compute: Duration,
}

/// Called exactly once with the outcome: by the instance's thread for a request that an instance took,
/// by the submitting thread for one that was rejected on arrival, by the cancelling thread for a
/// cancelled one, and by one thread for all models (`divvy-replies`) for one that timed out in the queue
/// or was rejected while it waited. It must be short and must not block, since the next request or the
/// next reply waits for it. It may submit requests, and it may call the scheduler.
pub type Reply = Box<dyn FnOnce(Outcome) + Send>;

/// Calls a reply with its outcome. If the reply panics, neither an instance nor the calling thread is
/// lost.
pub(super) fn answer(reply: Reply, outcome: Outcome) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| reply(outcome))) {
        tracing::error!("a caller's reply panicked: {}", panic_message(&*panic));
    }
}

/// The importance of a request, -128 to 127; 0 unless the caller sets it. An instance takes a waiting
/// request of the highest priority, and of these the one submitted first. Running requests are not
/// interrupted. Requests of a lower priority wait as long as there are others: give them a deadline, or
/// the queue a timeout. The priority does not change which request a full queue rejects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(pub i8);

/// The number of an accepted request, unique in this process, by which it can be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId {
    /// The pool that accepted it.
    pub(super) pool: u64,
    /// Its number in that pool.
    pub(super) number: u64,
}

/// The settings of a request that most callers leave alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestOptions {
    /// If an instance takes it at this time or later, the request times out and is not run. The queue's
    /// own timeout applies too: the earlier one counts. `None` for no deadline. The scheduler answers
    /// late requests every 10 to 25 ms while requests wait or run, and after at most 100 ms of
    /// idleness.
    pub deadline: Option<Instant>,
    /// Its importance.
    pub priority: Priority,
    /// Its arrival, by [`running_now`]: latency counts from here. `None`: when it is submitted. A
    /// [`Request`] ignores it and uses its own `arrival`.
    pub arrival: Option<Instant>,
}

/// One request. [`Request::new`] makes it; the fields can then be changed.
#[non_exhaustive]
pub struct Request {
    /// The input tensors. Shared, so that synthetic requests can be repeated without a copy.
    pub inputs: Arc<Vec<NamedTensor>>,
    /// Intended arrival, by [`running_now`]: latency counts from here (no coordinated omission).
    pub arrival: Instant,
    /// Its deadline and priority.
    pub options: RequestOptions,
    /// Receives the outcome.
    pub reply: Reply,
}

impl RequestOptions {
    /// Returns the terms under which a request waits that is submitted at `since`.
    pub(super) const fn terms(self, since: Instant) -> JobTerms {
        JobTerms { since, deadline: self.deadline, priority: self.priority.0 }
    }
}

impl Request {
    /// Creates a request that arrives now, without a deadline and with priority 0.
    pub fn new(inputs: Arc<Vec<NamedTensor>>, reply: Reply) -> Self {
        Self { inputs, arrival: running_now(), options: RequestOptions::default(), reply }
    }

    /// Sets the intended arrival, by [`running_now`].
    #[must_use]
    pub fn with_arrival(self, arrival: Instant) -> Self {
        Self { arrival, ..self }
    }

    /// Sets the deadline and the priority.
    #[must_use]
    pub fn with_options(self, options: RequestOptions) -> Self {
        Self { options, ..self }
    }
}

/// Sends requests to one model's pool. It stays valid after the model is removed; requests are then
/// rejected.
pub trait RequestSender: Send + Sync {
    /// Returns the model's inputs and outputs.
    fn signature(&self) -> Arc<Signature>;

    /// Submits a request and returns the number by which it can be cancelled; `None` if it was rejected
    /// and answered at once. Never blocks the caller: if the queue's overflow is "block", a request that
    /// finds it full is held outside the queue, counted as blocked, and enters the queue in order
    /// of arrival once there is room.
    fn submit(&self, request: Request) -> Option<RequestId>;

    /// Cancels a request that waits, and answers it. Returns false if it runs or has
    /// ended, or was not submitted here. May wait for an instance's thread that has lost its core while
    /// it changed the queue; dropping a [`crate::pool::Pending`] never does.
    fn cancel(&self, id: RequestId) -> bool;
}
