//! The interface of a machine, and the values that it reports.

use serde::{Deserialize, Serialize};

use super::cpu_set::{CoreId, CpuSet};
use super::error::AffinityError;
use super::thread_id::ThreadId;
use super::topology::Description;

/// Cumulative scheduling times of one thread, from its start (Linux: `schedstat`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadTimes {
    /// Nanoseconds on a CPU.
    pub cpu_ns: u64,
    /// Nanoseconds runnable but waiting for a CPU; `None` if the kernel hides it.
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MemoryUse {
    /// Memory available to this process: the machine's, or the container's limit if lower.
    #[serde(rename = "total_bytes", alias = "total")]
    pub total: u64,
    /// Memory in use on the machine, or in the container if it has a limit.
    #[serde(rename = "used_bytes", alias = "used")]
    pub used: u64,
    /// Resident set size of this process.
    #[serde(rename = "process_bytes", alias = "process")]
    pub process: u64,
}

/// The scheduler's view of the machine.
///
/// All calls take microseconds, except [`Machine::describe`], which reads about a hundred small
/// files.
pub trait Machine: Send + Sync {
    /// Reads topology and limits.
    fn describe(&self) -> Description;

    /// Pins a thread of this process to exactly these CPUs.
    ///
    /// # Errors
    /// [`AffinityError`] if the thread has ended, no CPU of the set is allowed, or the system has
    /// no such call. The affinity is then unchanged.
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
    /// [`AffinityError`] if the thread has ended, the kernel does not allow a lower nice value, or
    /// the system has no such call. The nice value is then unchanged.
    fn set_nice(&self, thread: ThreadId, nice: i32) -> Result<(), AffinityError>;

    /// Returns a thread's nice value, relative to the program's own at startup.
    ///
    /// # Errors
    /// As [`Machine::set_nice`].
    fn nice(&self, thread: ThreadId) -> Result<i32, AffinityError>;

    /// Returns the scheduling times of a thread; `None` if it has ended, also if another thread has its
    /// number now.
    fn thread_times(&self, thread: ThreadId) -> Option<ThreadTimes>;

    /// Returns true if a thread is known to have ended, also if another thread has its number now. Reads
    /// a file, unlike the calls that place threads: those act on whichever thread has the number.
    fn has_ended(&self, thread: ThreadId) -> bool;

    /// Returns the times of all online CPUs, in ascending order.
    fn core_times(&self) -> Vec<CoreTimes>;

    /// Returns the memory use of the machine and of this process.
    fn memory(&self) -> MemoryUse;
}
