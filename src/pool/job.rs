//! A request on its way through the gate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::memory::MemoryCharge;
use super::memory_turn::AloneWait;
use super::request::{Outcome, Reply, Request, RequestError, answer};
use crate::engine::NamedTensor;

/// The receiver of an outcome.
pub(super) enum ReplyTarget {
    /// A caller's function.
    Call(Reply),
    /// A caller that waits with `.await`; costs no allocation per request.
    Channel(oneshot::Sender<Answer>),
}

/// An outcome on its way to a caller that waits. Errors are boxed, so that the answer to most requests
/// is small: another core has to fetch it.
pub(super) struct Answer {
    result: Result<Vec<NamedTensor>, Box<RequestError>>,
    queue: Duration,
    compute: Duration,
}

impl From<Outcome> for Answer {
    fn from(Outcome { result, queue, compute }: Outcome) -> Self {
        Self { result: result.map_err(Box::new), queue, compute }
    }
}

impl From<Answer> for Outcome {
    fn from(Answer { result, queue, compute }: Answer) -> Self {
        Self { result: result.map_err(|error| *error), queue, compute }
    }
}

impl ReplyTarget {
    /// Delivers the outcome.
    pub(super) fn answer(self, outcome: Outcome) {
        match self {
            Self::Call(reply) => answer(reply, outcome),
            Self::Channel(sender) => {
                // Without a receiver the caller has cancelled, and nobody needs the outcome.
                let _ = sender.send(outcome.into());
            }
        }
    }
}

/// A request in the gate, with the charge for its inputs.
pub(super) struct Job {
    pub(super) inputs: Arc<Vec<NamedTensor>>,
    /// Intended arrival.
    pub(super) arrival: Instant,
    pub(super) reply: ReplyTarget,
    /// `None` if its inputs cost the pool nothing.
    pub(super) charge: Option<MemoryCharge>,
    /// Its wait to run alone under the memory limit, if it has to.
    pub(super) alone: Option<AloneWait>,
}

impl Job {
    /// Returns the job of a caller's request.
    pub(super) fn new(request: Request) -> Self {
        let Request { inputs, arrival, reply, .. } = request;
        Self { inputs, arrival, reply: ReplyTarget::Call(reply), charge: None, alone: None }
    }

    /// Answers the request with an error, without having run it.
    pub(super) fn reject(self, error: RequestError, now: Instant) {
        // Release the charge and others' turn before the caller is answered.
        drop((self.charge, self.alone));
        let queue = now.saturating_duration_since(self.arrival);
        self.reply.answer(Outcome { result: Err(error), queue, compute: Duration::ZERO });
    }
}
