//! Errors of calls on the machine.

use thiserror::Error;

use super::cpu_set::CpuSet;
use super::thread_id::ThreadId;

/// Reasons why a thread's affinity or nice value could not be set or read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AffinityError {
    /// The thread has ended.
    #[error("thread {0} has ended")]
    NoSuchThread(ThreadId),
    /// This process may not use any of the requested CPUs.
    #[error("none of the CPUs {asked} is online and allowed for this process")]
    NotAllowed {
        /// The requested CPUs.
        asked: CpuSet,
    },
    /// The kernel refused for some other reason.
    #[error("the kernel refused a call on thread {thread}: {reason}")]
    Refused {
        /// The thread.
        thread: ThreadId,
        /// The kernel's message.
        reason: String,
    },
    /// The kernel did not lower a nice value: raising a thread's priority needs a privilege.
    #[error(
        "thread {thread} stays at nice {current}: lowering it to {asked} needs CAP_SYS_NICE or \
         RLIMIT_NICE"
    )]
    NiceNotRaised {
        /// The thread.
        thread: ThreadId,
        /// Its current nice value.
        current: i32,
        /// The requested nice value.
        asked: i32,
    },
    /// This operating system has no such call.
    #[error("this operating system cannot pin threads to CPUs")]
    Unsupported,
}

/// Errors in the cores given with `--cores`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MachineError {
    /// Some of the named CPUs cannot be used.
    #[error(
        "--cores: this process has no CPU {missing}; it may use {allowed} (`divvy machine` shows \
         why)"
    )]
    CoresNotAllowed {
        /// Named CPUs that do not exist, are offline or are not allowed.
        missing: CpuSet,
        /// The CPUs that this process may use.
        allowed: CpuSet,
    },
    /// The list is empty.
    #[error("--cores names no CPU: list some of {allowed}, or omit the option to use all of them")]
    NoCores {
        /// The CPUs that this process may use.
        allowed: CpuSet,
    },
}
