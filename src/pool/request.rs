//! Requests to a pool and their outcomes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::panic_message::panic_message;
use crate::engine::{EngineError, NamedTensor, Signature};

/// The reason why a request was not answered with tensors. Each submitted request ends in exactly one way.
#[derive(Clone, Debug, Error)]
pub enum RequestError {
    /// The queue was full and its policy is to reject, or the model no longer accepts requests.
    #[error("rejected: {reason}")]
    Rejected {
        /// The reason.
        reason: &'static str,
    },
    /// It waited in the queue longer than the queue's timeout.
    #[error("timed out after {waited:?} in the queue")]
    TimedOut {
        /// Its time in the queue.
        waited: Duration,
    },
    /// The caller cancelled it before an instance took it.
    #[error("cancelled")]
    Cancelled,
    /// The engine failed, or the request exceeded the memory budget.
    #[error(transparent)]
    Failed(#[from] EngineError),
    /// The engine panicked; the instance was replaced.
    #[error("the engine panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
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

/// One request.
pub struct Request {
    /// The input tensors. Shared, so that synthetic requests can be repeated without a copy.
    pub inputs: Arc<Vec<NamedTensor>>,
    /// Intended arrival: latency counts from here (no coordinated omission).
    pub arrival: Instant,
    /// Receives the outcome.
    pub reply: Reply,
}

/// Sends requests to one model's pool. It stays valid after the model is removed; requests are then
/// rejected.
pub trait RequestSender: Send + Sync {
    /// Returns the model's inputs and outputs.
    fn signature(&self) -> Arc<Signature>;

    /// Submits a request. Never blocks the caller: if the queue's overflow is "block", a request that
    /// finds it full is held outside the queue, counted as blocked, and enters the queue in order
    /// of arrival once there is room.
    fn submit(&self, request: Request);
}
