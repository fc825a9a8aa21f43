//! The relation of a process to others, and the signals that end processes.

use super::ProcessId;

/// The relation of a process to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessRelation {
    /// The process.
    pub id: ProcessId,
    /// The number of its parent.
    pub parent: i32,
    /// The number of its process group.
    pub group: i32,
    /// The number of its session.
    pub session: i32,
    /// True if it has ended and its parent has not asked for its exit status.
    pub is_zombie: bool,
}

/// A signal that helps to end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndSignal {
    /// SIGTERM: asks it to end.
    Terminate,
    /// SIGCONT: a stopped process gets SIGTERM only when it goes on.
    Continue,
    /// SIGKILL: ends it.
    Kill,
}
