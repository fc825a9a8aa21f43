//! Errors of calls on threads of other processes.

use thiserror::Error;

/// Reasons why the settings of another process's thread could not be set or read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ForeignError {
    /// The thread has ended.
    #[error("the thread has ended")]
    Ended,
    /// This user may not change it.
    #[error("this user may not change it: run divvy as its user, or with CAP_SYS_NICE")]
    Denied,
    /// No CPU of the set is online and in the thread's cpuset.
    #[error("its cpuset has none of these CPUs, or they are offline")]
    NoSuchCpus,
    /// The kernel refused for some other reason.
    #[error("the kernel refused: {0}")]
    Refused(String),
    /// This operating system has no such call.
    #[error("this operating system cannot place other processes")]
    Unsupported,
}
