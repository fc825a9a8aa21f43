//! What the hardware is, what of it this process may use, and the calls that place threads on it.
//!
//! Everything above asks through the trait [`Machine`]: the real Linux machine, or a simulated one
//! of any topology for tests. The engines and the pool never read `/proc` or `/sys` themselves.

pub mod allocation;
mod cpu_set;
pub mod crash;
mod gpus;
#[cfg(target_os = "linux")]
mod linux;
// Compiled for the tests of Linux too, so that it cannot rot.
#[cfg(any(test, not(target_os = "linux")))]
mod portable;
pub mod resident;
mod simulated;
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
    /// The CPU that it ran on last.
    pub last_core: Option<CoreId>,
}

/// Cumulative times of one logical CPU since boot (Linux: `/proc/stat`), in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreTimes {
    /// Which CPU.
    pub core: CoreId,
    /// Not idle and not waiting for I/O.
    pub busy_ns: u64,
    /// Idle or waiting for I/O.
    pub idle_ns: u64,
}

/// Memory of the machine and of this process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUse {
    /// What this process may use: the machine's memory, or the container's limit where lower.
    pub total: u64,
    /// In use on the machine, or in the container where it has a limit.
    pub used: u64,
    /// ResidentSet set size of this process.
    pub process: u64,
}

/// Why a thread could not be placed or asked about.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AffinityError {
    /// The thread has ended.
    #[error("thread {0} has ended")]
    NoSuchThread(ThreadId),
    /// None of the CPUs asked for is one that this process may use now.
    #[error("none of the CPUs {asked} is online and allowed to this process")]
    NotAllowed {
        /// The CPUs asked for.
        asked: CpuSet,
    },
    /// The kernel refused for another reason.
    #[error("the kernel refused to place thread {thread}: {reason}")]
    Refused {
        /// The thread.
        thread: ThreadId,
        /// The kernel's own words.
        reason: String,
    },
    /// The kernel keeps a thread's nice value: only lowering its standing is everybody's right.
    #[error(
        "thread {thread} stays at nice {held}: raising it to {asked} needs CAP_SYS_NICE or \
         RLIMIT_NICE"
    )]
    NiceNotRaised {
        /// The thread.
        thread: ThreadId,
        /// Its nice value.
        held: i32,
        /// The value asked for.
        asked: i32,
    },
    /// This operating system offers no call for it.
    #[error("this operating system cannot pin threads to CPUs")]
    Unsupported,
}

/// Why this machine cannot be used as asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MachineError {
    /// The CPUs that the operator named are not all there.
    #[error(
        "--cores: this process has no CPU {missing}; it may use {allowed} (`divvy machine` shows \
         why)"
    )]
    CoresNotAllowed {
        /// Those asked for that are offline, not allowed or not there at all.
        missing: CpuSet,
        /// The CPUs that this process may use.
        allowed: CpuSet,
    },
    /// The operator named no CPU at all.
    #[error("--cores names no CPU: write a list out of {allowed}, or leave it out to use all")]
    NoCores {
        /// The CPUs that this process may use.
        allowed: CpuSet,
    },
}

/// The machine as the scheduler sees it. All calls are cheap enough for a change in microseconds,
/// except [`Machine::describe`], which reads some hundred small files.
pub trait Machine: Send + Sync {
    /// Topology and limits, read afresh.
    fn describe(&self) -> Description;

    /// Allows a thread of this process on exactly these CPUs.
    ///
    /// # Errors
    /// [`AffinityError`] when the thread has ended, no CPU of the set is allowed, or the system
    /// has no such call. Nothing changed then.
    fn set_affinity(&self, thread: ThreadId, cores: &CpuSet) -> Result<(), AffinityError>;

    /// Reads back on which CPUs a thread is allowed.
    ///
    /// # Errors
    /// As [`Machine::set_affinity`].
    fn affinity(&self, thread: ThreadId) -> Result<CpuSet, AffinityError>;

    /// Sets a thread's nice value, counted from the one that the program was started with, 0 to 19
    /// and no further than the system goes, and reads it back: its share of the cores that it runs
    /// on, beside others'.
    ///
    /// # Errors
    /// [`AffinityError`] when the thread has ended, the kernel does not let it rise again, or the
    /// system has no such call. Nothing changed then.
    fn set_nice(&self, thread: ThreadId, nice: i32) -> Result<(), AffinityError>;

    /// Reads a thread's nice value, counted likewise.
    ///
    /// # Errors
    /// As [`Machine::set_nice`].
    fn nice(&self, thread: ThreadId) -> Result<i32, AffinityError>;

    /// Scheduling times of a thread; `None` when it has ended.
    fn thread_times(&self, thread: ThreadId) -> Option<ThreadTimes>;

    /// Times of all online CPUs, in rising order.
    fn core_times(&self) -> Vec<CoreTimes>;

    /// Memory of the machine and of this process.
    fn memory(&self) -> MemoryUse;
}

/// The machine that this process runs on, restricted to `cores` where given. Construct it early: it
/// reads the CPU mask that the process was started with.
///
/// # Errors
/// [`MachineError`] when `cores` is empty or names a CPU that this process may not use now.
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

/// The calling thread's id.
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

/// Asks the system to let the calling thread run as soon as it wakes, also where other threads keep
/// every core busy. For threads that wait nearly always and then have little to do. Returns whether
/// the system has such a call and took it; a thread that it refused runs as any other.
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

/// Asks the system to let the calling thread run at once when it wakes, before all usual threads, or,
/// where that needs a privilege that is not there, as [`request_short_slice`]. For the one thread on which
/// changes wait: what it does is to be short. Returns whether it runs first.
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

/// The threads of this process with their names, of which the kernel keeps 15 bytes; empty where the
/// system does not tell.
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

/// CPU time that this process has used since its start, all threads together, in nanoseconds; 0
/// where the system does not tell.
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
