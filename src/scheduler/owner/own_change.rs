//! Changes that divvy makes itself.

use crate::layout::{Change, Plan};

/// A change that divvy makes itself.
pub(super) struct OwnChange {
    pub(super) reason: OwnChangeReason,
    pub(super) plan: Plan,
    pub(super) change: Change,
}

/// The reason for a change that divvy makes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OwnChangeReason {
    /// A build failed. The change counts as an undo if it reverts the whole change that asked for
    /// the build.
    FailedBuild {
        /// The slot whose row is rolled back, by its generation.
        slot: u64,
        /// The part that could not be built, and the reason.
        reason: String,
    },
    /// Cores of the machine came or went.
    MachineChanged,
}
