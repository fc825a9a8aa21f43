//! The number of requests of a model per state.

use serde::{Deserialize, Serialize};

/// Number of requests of a model per current or final state. Their sum is `submitted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RequestCounts {
    /// Submitted in total.
    pub submitted: u64,
    /// Waiting in their callers for space in the queue.
    pub blocked: u64,
    /// In the queue.
    pub queued: u64,
    /// In an instance.
    pub executing: u64,
    /// Answered.
    pub completed: u64,
    /// Rejected because the queue was full or the model accepts no requests.
    pub rejected: u64,
    /// Waited in the queue longer than their timeout.
    pub timed_out: u64,
    /// Cancelled by the caller before an instance took them.
    pub cancelled: u64,
    /// Ended with an error or a panic, or had inputs that do not fit the model.
    pub failed: u64,
}

impl RequestCounts {
    /// Returns true if each submitted request is in exactly one state.
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
