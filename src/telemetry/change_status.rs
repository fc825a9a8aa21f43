//! The status of a change: in force, being built, or rolled back.

use serde::{Deserialize, Serialize};

/// The status of a change. A change whose instances are still being built is not in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ChangeStatus {
    /// All of it is in force.
    #[default]
    InForce,
    /// Its instances are being built or its models are being loaded.
    Building {
        /// Instances that are ready.
        ready: usize,
        /// Instances that are to serve.
        total: usize,
    },
    /// Its instances could not be built. The rows are as they were before.
    RolledBack {
        /// The reason.
        reason: String,
    },
    /// Its instances could not be built, and there was nothing to roll back to.
    Failed {
        /// The reason.
        reason: String,
    },
    /// A later change replaced it while its instances were being built.
    Replaced,
    /// The run ended while its instances were being built.
    Unfinished,
}

impl ChangeStatus {
    /// Returns true if the change did not come into force.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::RolledBack { .. } | Self::Failed { .. })
    }
}
