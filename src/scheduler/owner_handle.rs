//! The callers' end of the owner's messages. No call waits for the owner without a limit.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use super::change_request::RequestClaim;
use super::messages::{OwnerMessage, Question};
use crate::layout::{Refusal, RefusalKind};
use crate::telemetry::{JournalEntry, Snapshot};

/// The owner has not ended in time.
pub(super) struct StillRunning;

/// Sends the owner messages and waits for its answers.
pub(super) struct OwnerHandle {
    messages: Sender<OwnerMessage>,
    /// The longest wait for the owner to take a message, and again for its answer.
    limit: Duration,
}

impl OwnerHandle {
    pub(super) fn new(messages: Sender<OwnerMessage>, limit: Duration) -> Self {
        Self { messages, limit }
    }

    /// Asks the owner to carry out a request. Withdraws the request if the owner has not taken it
    /// within the limit, and waits once more if it has.
    ///
    /// # Errors
    /// The owner's refusal; [`RefusalKind::Stopped`] and [`RefusalKind::TimedOut`] if the request
    /// will not be carried out; [`RefusalKind::Unanswered`] if it may be.
    pub(super) fn ask<T>(
        &self,
        message: impl FnOnce(Question<T>) -> OwnerMessage,
    ) -> Result<T, Refusal> {
        let claim = RequestClaim::default();
        let (reply, answers) = mpsc::channel();
        let question = Question { claim: claim.clone(), reply };
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

    /// Returns the whole journal; `None` if the owner has stopped or does not answer.
    pub(super) fn journal(&self) -> Option<Vec<Arc<JournalEntry>>> {
        let (reply, answer) = mpsc::channel();
        self.messages.send(OwnerMessage::Journal(reply)).ok()?;
        answer.recv_timeout(self.limit).ok()
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
