//! The machine: its hardware, the part that this process may use, and the calls that place threads.
//!
//! All other code goes through the trait [`Machine`], which is the real Linux machine or, in tests, a
//! simulated one of any topology. Engines and pools never read `/proc` or `/sys` themselves.

pub mod allocation;
mod cpu_set;
pub mod crash;
mod gpus;
#[cfg(target_os = "linux")]
mod linux;
// Also compiled for tests on Linux, so that it keeps building.
#[cfg(any(test, not(target_os = "linux")))]
mod portable;
pub mod resident;
mod simulated;
mod special_file;
mod topology;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use cpu_set::{CoreId, CpuListError, CpuSet, MAX_CORES};
pub use gpus::{Gpu, GpuPart, Gpus};
#[cfg(target_os = "linux")]
pub use linux::LinuxMachine;
#[cfg(all(test, target_os = "linux"))]
pub(crate) use linux::tests::examples;
#[cfg(not(target_os = "linux"))]
pub use portable::PortableMachine;
pub use simulated::{AffinityCall, SimulatedMachine};
pub use special_file::special_file_kind;
pub use topology::{Core, CoreKind, Description, Limits, Topology};

/// An operating-system thread of this process (on Linux the kernel's `tid`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ThreadId(pub i32);

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Cumulative scheduling times of one thread, from its start (Linux: `schedstat`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadTimes {
    /// Nanoseconds on a CPU.
    pub cpu_ns: u64,
    /// Nanoseconds runnable but waiting for a CPU; `None` where the kernel hides it.
    pub wait_ns: Option<u64>,
    /// The CPU on which it last ran.
    pub last_core: Option<CoreId>,
}

/// Cumulative times of one logical CPU since boot (Linux: `/proc/stat`), in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreTimes {
    /// The CPU.
    pub core: CoreId,
    /// Not idle and not waiting for I/O.
    pub busy_ns: u64,
    /// Idle or waiting for I/O.
    pub idle_ns: u64,
}

/// Memory of the machine and of this process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUse {
    /// Memory available to this process: the machine's, or the container's limit if lower.
    pub total: u64,
    /// Memory in use on the machine, or in the container if it has a limit.
    pub used: u64,
    /// Resident set size of this process.
    pub process: u64,
}

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

/// The scheduler's view of the machine.
///
/// All calls take microseconds, except [`Machine::describe`], which reads some hundred small files.
pub trait Machine: Send + Sync {
    /// Reads topology and limits.
    fn describe(&self) -> Description;

    /// Pins a thread of this process to exactly these CPUs.
    ///
    /// # Errors
    /// [`AffinityError`] if the thread has ended, no CPU of the set is allowed, or the system has no
    /// such call. The affinity is then unchanged.
    fn set_affinity(&self, thread: ThreadId, cores: &CpuSet) -> Result<(), AffinityError>;

    /// Returns the CPUs on which a thread may run.
    ///
    /// # Errors
    /// As [`Machine::set_affinity`].
    fn affinity(&self, thread: ThreadId) -> Result<CpuSet, AffinityError>;

    /// Sets a thread's nice value and reads it back. The value is relative to the program's own at
    /// startup, 0 to 19; the sum is capped at the system's 19. A higher value gives the thread a
    /// smaller share of its cores.
    ///
    /// # Errors
    /// [`AffinityError`] if the thread has ended, the kernel does not allow a lower nice value, or the
    /// system has no such call. The nice value is then unchanged.
    fn set_nice(&self, thread: ThreadId, nice: i32) -> Result<(), AffinityError>;

    /// Returns a thread's nice value, relative to the program's own at startup.
    ///
    /// # Errors
    /// As [`Machine::set_nice`].
    fn nice(&self, thread: ThreadId) -> Result<i32, AffinityError>;

    /// Returns the scheduling times of a thread; `None` if it has ended.
    fn thread_times(&self, thread: ThreadId) -> Option<ThreadTimes>;

    /// Returns the times of all online CPUs, in ascending order.
    fn core_times(&self) -> Vec<CoreTimes>;

    /// Returns the memory use of the machine and of this process.
    fn memory(&self) -> MemoryUse;
}

/// Detects the machine that this process runs on, restricted to `cores` if given. Call it early: it
/// reads the CPU mask that the process was started with.
///
/// # Errors
/// [`MachineError`] if `cores` is empty or names a CPU that this process may not use.
pub fn this_machine(cores: Option<CpuSet>) -> Result<Arc<dyn Machine>, MachineError> {
    #[cfg(target_os = "linux")]
    let machine = LinuxMachine::detect();
    #[cfg(not(target_os = "linux"))]
    let machine = PortableMachine::detect();
    let Some(asked) = cores else {
        return Ok(Arc::new(machine));
    };
    let allowed = machine.describe().limits.allowed;
    if asked.is_empty() {
        return Err(MachineError::NoCores { allowed });
    }
    let missing = asked.difference(&allowed);
    if !missing.is_empty() {
        return Err(MachineError::CoresNotAllowed { missing, allowed });
    }
    Ok(Arc::new(machine.restricted(asked)))
}

/// Returns the calling thread's id.
pub fn current_thread() -> ThreadId {
    #[cfg(target_os = "linux")]
    {
        ThreadId(rustix::thread::gettid().as_raw_pid())
    }
    #[cfg(not(target_os = "linux"))]
    {
        ThreadId(0)
    }
}

/// Requests the shortest time slice for the calling thread, so that it runs soon after it wakes even
/// when other threads keep every core busy. For threads that mostly wait and then do little work.
///
/// Returns true if the system accepted the request; otherwise the thread is scheduled as before.
pub fn request_short_slice() -> bool {
    #[cfg(target_os = "linux")]
    {
        linux::request_short_slice()
    }
    #[cfg(not(target_os = "linux"))]
    {
        false
    }
}

/// Requests the lowest real-time priority for the calling thread, so that it runs before all normal
/// threads as soon as it wakes. Without the privilege for that, falls back to
/// [`request_short_slice`]. Only for the owner thread, whose work is short and delays every change.
///
/// Returns true if the thread has the real-time priority.
pub fn request_realtime() -> bool {
    #[cfg(target_os = "linux")]
    {
        linux::request_realtime() || {
            linux::request_short_slice();
            false
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        false
    }
}

/// Returns the threads of this process with their names, of which the kernel keeps 15 bytes. Empty if
/// the system does not list them.
pub fn process_threads() -> Vec<(ThreadId, String)> {
    #[cfg(target_os = "linux")]
    {
        linux::process_threads()
    }
    #[cfg(not(target_os = "linux"))]
    {
        Vec::new()
    }
}

/// Returns the CPU time used by all threads of this process since its start, in nanoseconds; 0 if the
/// system does not report it.
pub fn process_cpu_ns() -> u64 {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
    #[cfg(not(unix))]
    {
        0
    }
}
