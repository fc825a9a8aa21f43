//! The number of requests of a model per state.

use serde::{Deserialize, Serialize};

/// How many requests of a model are or ended in each state. Their sum is `submitted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// Handed in, in all.
    pub submitted: u64,
    /// Callers that wait for room in the queue.
    pub blocked: u64,
    /// In the queue.
    pub queued: u64,
    /// In an instance.
    pub executing: u64,
    /// Answered.
    pub completed: u64,
    /// Turned away because the queue was full or the model could take none.
    pub rejected: u64,
    /// Waited in the queue longer than its timeout.
    pub timed_out: u64,
    /// Given up by the caller before an instance took it.
    pub cancelled: u64,
    /// Ended with an error or a panic.
    pub failed: u64,
}

impl RequestCounts {
    /// Whether each submitted request is in exactly one state.
    pub fn balanced(&self) -> bool {
        self.submitted
            == self.blocked
                + self.queued
                + self.executing
                + self.completed
                + self.rejected
                + self.timed_out
                + self.cancelled
                + self.failed
    }
}
