//! The id of a thread, and a thread with its name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An operating-system thread, by its number and its start time. The kernel reuses the numbers of threads
/// that have ended; start times differ.
///
/// Written as the number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(into = "i32", from = "i32")]
pub struct ThreadId {
    /// The number (on Linux the kernel's `tid`).
    pub tid: i32,
    /// When the thread started, in clock ticks since boot; `None` if it is not known.
    pub start_ticks: Option<u64>,
}

impl ThreadId {
    /// The thread that has a number now, if its start is not known.
    pub const fn of_tid(tid: i32) -> Self {
        Self { tid, start_ticks: None }
    }

    /// Returns true if a thread with the same number, which started then, is not this one.
    pub fn is_reused_by(&self, start_ticks: Option<u64>) -> bool {
        matches!((self.start_ticks, start_ticks), (Some(own), Some(other)) if own != other)
    }
}

impl From<i32> for ThreadId {
    fn from(tid: i32) -> Self {
        Self::of_tid(tid)
    }
}

impl From<ThreadId> for i32 {
    fn from(thread: ThreadId) -> Self {
        thread.tid
    }
}

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tid.fmt(f)
    }
}

/// A thread with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedThread {
    /// The thread.
    pub id: ThreadId,
    /// Its name; the kernel keeps 15 bytes of it.
    pub name: String,
}
