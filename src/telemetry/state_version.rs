//! The version of the scheduler's state.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The version of the state that changes are planned on: the layout and the machine. It increases with
/// every change of either, also with those that divvy makes itself. Unique within a run.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct StateVersion(pub u64);

impl StateVersion {
    /// Returns the next version.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for StateVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
