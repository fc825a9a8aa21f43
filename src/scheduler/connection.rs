//! The connection of a [`super::Control`] to a scheduler in another process.

use std::time::Instant;

/// The connection to a scheduler in another process. It is made again by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Snapshots arrive.
    Connected {
        /// The process. Another one means that the run was started again.
        pid: u32,
    },
    /// Nothing arrives any more.
    Lost {
        /// Since when.
        since: Instant,
        /// The reason.
        reason: String,
    },
    /// The process has ended.
    Ended {
        /// Since when.
        since: Instant,
    },
}

impl Connection {
    /// Returns the process, if snapshots arrive.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Connected { pid } => Some(*pid),
            Self::Lost { .. } | Self::Ended { .. } => None,
        }
    }

    /// Returns the time since which nothing arrives.
    pub fn lost_since(&self) -> Option<Instant> {
        match self {
            Self::Connected { .. } => None,
            Self::Lost { since, .. } | Self::Ended { since } => Some(*since),
        }
    }
}
