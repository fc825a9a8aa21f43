//! A request and its answer, as callers of a pool see them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::panic_message::panic_message;
use crate::engine::{EngineError, NamedTensor, Signature};

/// Why a request was not answered with tensors. Each submitted request ends in exactly one way.
#[derive(Clone, Debug, Error)]
pub enum RequestError {
    /// The queue was full and its policy is to reject, or the model takes no requests any more.
    #[error("rejected: {reason}")]
    Rejected {
        /// Why.
        reason: &'static str,
    },
    /// It waited in the queue longer than the queue's timeout.
    #[error("timed out after {waited:?} in the queue")]
    TimedOut {
        /// How long it had waited.
        waited: Duration,
    },
    /// The caller gave it up before an instance took it.
    #[error("cancelled")]
    Cancelled,
    /// The engine failed on it.
    #[error(transparent)]
    Failed(#[from] EngineError),
    /// The engine panicked on it; the instance was replaced.
    #[error("the engine panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
}

/// What became of a request, and how long it took.
#[derive(Debug)]
pub struct Outcome {
    /// The output tensors, or why there are none.
    pub result: Result<Vec<NamedTensor>, RequestError>,
    /// From the intended arrival until an instance took it (or until it was turned away).
    pub queue: Duration,
    /// In the instance; zero when none took it.
    pub compute: Duration,
}

/// Called exactly once with the outcome: on the worker's own thread for a request that ran, on the
/// scheduler's for one that waited too long, so it must be short and must not block.
pub type Reply = Box<dyn FnOnce(Outcome) + Send>;

/// Gives a caller its answer. A reply that panics is its caller's fault: it costs neither an instance
/// nor the thread that gives it.
pub(super) fn answer(reply: Reply, outcome: Outcome) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| reply(outcome))) {
        tracing::error!("a caller's reply panicked: {}", panic_message(&*panic));
    }
}

/// One request.
pub struct Request {
    /// The input tensors. Shared, so that repeated synthetic requests cost nothing to hand in.
    pub inputs: Arc<Vec<NamedTensor>>,
    /// When it was meant to arrive: latency counts from here (no coordinated omission).
    pub arrival: Instant,
    /// Who gets the answer.
    pub reply: Reply,
}

/// The door of one model's pool, as load generators and servers hold it. Stays valid when the
/// model is removed: requests are then rejected.
pub trait RequestSender: Send + Sync {
    /// What the model takes and gives.
    fn signature(&self) -> Arc<Signature>;

    /// Hands a request in. Never blocks the caller: where the queue's overflow is "block", a
    /// request that finds it full is kept aside, counted as blocked, and enters the queue in order
    /// of arrival once there is room.
    fn submit(&self, request: Request);
}
