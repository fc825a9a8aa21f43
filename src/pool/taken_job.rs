//! A job that an instance has taken: it ends in the gate and is answered, even if the thread panics.

use std::time::Duration;

use super::gate::{Ended, SeatId, Waiting};
use super::inner::Inner;
use super::job::{Job, ReplyTarget};
use super::rejection::Rejection;
use super::request::{Outcome, RequestError};
use crate::engine::NamedTensor;
use crate::machine::running_now;

/// The result of a request.
pub(super) type RunResult = Result<Vec<NamedTensor>, RequestError>;

/// A taken job. If it is dropped before it ended, its seat is marked as broken, and the caller gets the
/// error of a panic.
pub(super) struct TakenJob<'a> {
    inner: &'a Inner,
    seat: SeatId,
    /// Time in the queue.
    queue: Duration,
    /// `None` once the job has ended.
    reply: Option<ReplyTarget>,
}

impl<'a> TakenJob<'a> {
    pub(super) fn new(inner: &'a Inner, seat: SeatId, queue: Duration, reply: ReplyTarget) -> Self {
        Self { inner, seat, queue, reply: Some(reply) }
    }

    /// Ends the job, answers it, and returns the seat's next one. The next one is taken first, so that
    /// the counts are up to date when the caller gets its answer.
    pub(super) fn finish(
        mut self,
        ended: Ended,
        result: RunResult,
        compute: Duration,
    ) -> Option<Waiting<Job>> {
        let reply = self.reply.take();
        let next = self.inner.gate.finish(self.seat, [ended]);
        self.answer(reply, result, compute);
        next
    }

    /// Has the job wait again, because it may not start yet, and returns the seat's next one. `waiting` gets
    /// the job's reply; `releases` is as for `Gate::hold`.
    pub(super) fn hold(
        mut self,
        releases: u64,
        waiting: impl FnOnce(ReplyTarget) -> Waiting<Job>,
    ) -> Option<Waiting<Job>> {
        let waiting = waiting(self.reply.take()?);
        let gate = &self.inner.gate;
        gate.hold(self.seat, waiting, releases).unwrap_or_else(|waiting| {
            let next = gate.finish(self.seat, [Ended::Rejected]);
            let reason = gate.refusal().unwrap_or(Rejection::Removed);
            waiting.job.reject(RequestError::Rejected { reason }, running_now());
            next
        })
    }

    /// Ends the job, marks its seat as broken and answers it.
    pub(super) fn break_seat(mut self, result: RunResult, compute: Duration) {
        let reply = self.reply.take();
        self.inner.gate.mark_broken(self.seat, [Ended::Failed]);
        self.answer(reply, result, compute);
    }

    fn answer(&self, reply: Option<ReplyTarget>, result: RunResult, compute: Duration) {
        if let Some(reply) = reply {
            reply.answer(Outcome { result, queue: self.queue, compute });
        }
    }
}

impl Drop for TakenJob<'_> {
    fn drop(&mut self) {
        if self.reply.is_some() {
            let reply = self.reply.take();
            self.inner.gate.mark_broken(self.seat, [Ended::Failed]);
            let message = "the thread of the instance panicked".to_owned();
            self.answer(reply, Err(RequestError::Panicked { message }), Duration::ZERO);
        }
    }
}
