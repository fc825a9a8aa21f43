//! The callers' end of the owner's messages. No call waits for the owner without a limit.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use super::change_request::RequestClaim;
use super::messages::{OwnerMessage, Question};
use super::waiting::{MAX_WAITING, WaitingCount};
use crate::layout::{Refusal, RefusalKind};
use crate::telemetry::Snapshot;

/// The owner has not ended in time.
pub(super) struct StillRunning;

/// Sends the owner messages and waits for its answers.
pub(super) struct OwnerHandle {
    messages: Sender<OwnerMessage>,
    waiting: WaitingCount,
    /// The longest wait for the owner to take a message, and again for its answer.
    limit: Duration,
}

impl OwnerHandle {
    pub(super) fn new(messages: Sender<OwnerMessage>, limit: Duration) -> Self {
        Self { messages, waiting: WaitingCount::default(), limit }
    }

    /// Asks the owner to carry out a request. Withdraws the request if the owner has not taken it
    /// within the limit, and waits once more if it has.
    ///
    /// # Errors
    /// The owner's refusal; [`RefusalKind::Stopped`], [`RefusalKind::TimedOut`] and
    /// [`RefusalKind::Busy`] if the request will not be carried out; [`RefusalKind::Unanswered`] if it may be.
    pub(super) fn ask<T>(
        &self,
        message: impl FnOnce(Question<T>) -> OwnerMessage,
    ) -> Result<T, Refusal> {
        let Some(slot) = self.waiting.enter() else {
            return Err(Refusal::of_kind(
                RefusalKind::Busy,
                format!("{MAX_WAITING} requests wait for the scheduler already: try again later"),
            ));
        };
        let claim = RequestClaim::default();
        let (reply, answers) = mpsc::channel();
        let question = Question { _slot: slot, claim: claim.clone(), reply };
        self.messages.send(message(question)).map_err(|_| stopped())?;
        let error = match answers.recv_timeout(self.limit) {
            Ok(answer) => return answer,
            Err(error) => error,
        };
        let limit = self.limit.as_secs_f64();
        if claim.take() {
            return Err(match error {
                RecvTimeoutError::Disconnected => stopped(),
                RecvTimeoutError::Timeout => Refusal::of_kind(
                    RefusalKind::TimedOut,
                    format!(
                        "the scheduler did not take the request within {limit} s, so it was \
                         withdrawn: try again"
                    ),
                ),
            });
        }
        answers.recv_timeout(self.limit).unwrap_or_else(|_| {
            Err(Refusal::of_kind(
                RefusalKind::Unanswered,
                format!(
                    "the scheduler took the request but did not answer within {limit} s: the \
                     journal shows whether a change was applied"
                ),
            ))
        })
    }

    /// Stops the owner: it drains its pools for at most `patience`. Returns its final snapshot, unless
    /// a bug prevented it.
    ///
    /// # Errors
    /// [`StillRunning`] if it has not ended the limit after `patience`.
    pub(super) fn stop(&self, patience: Duration) -> Result<Option<Snapshot>, StillRunning> {
        let (reply, answer) = mpsc::channel();
        // A send to an owner that has ended drops the reply.
        let _ = self.messages.send(OwnerMessage::Stop { patience, reply });
        match answer.recv_timeout(patience.saturating_add(self.limit)) {
            Ok(last) => Ok(Some(last)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(StillRunning),
        }
    }
}

fn stopped() -> Refusal {
    Refusal::of_kind(RefusalKind::Stopped, "the scheduler has stopped")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_requests_are_bounded() {
        let (sender, messages) = mpsc::channel();
        let owner = OwnerHandle::new(sender, Duration::ZERO);
        let ask = || owner.ask(OwnerMessage::Journal).unwrap_err().kind;
        assert!((0..MAX_WAITING).all(|_| ask() == RefusalKind::TimedOut));
        assert_eq!(ask(), RefusalKind::Busy);
        assert_eq!(messages.try_iter().count(), MAX_WAITING);
        assert_eq!(ask(), RefusalKind::TimedOut, "the owner has taken the others");
    }
}
