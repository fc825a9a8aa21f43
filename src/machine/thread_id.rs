//! The id of a thread, and a thread with its name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An operating-system thread of this process (on Linux the kernel's `tid`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ThreadId(pub i32);

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
