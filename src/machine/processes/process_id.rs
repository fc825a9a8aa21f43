//! The id of a process.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A process, by its number and its start time. The kernel reuses the numbers of processes that have
/// ended; start times differ.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ProcessId {
    /// The number, in divvy's PID namespace.
    pub pid: i32,
    /// When the process started, in clock ticks since boot.
    pub start_ticks: u64,
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pid.fmt(f)
    }
}
