//! This process: its machine, its threads and its CPU time.

use std::sync::Arc;

use super::cpu_set::CpuSet;
use super::error::MachineError;
use super::interface::Machine;
#[cfg(target_os = "linux")]
use super::linux::{self, LinuxMachine};
#[cfg(not(target_os = "linux"))]
use super::portable::PortableMachine;
use super::thread_id::{NamedThread, ThreadId};

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

/// Returns the calling thread's id. The first call of a thread reads its start, which takes some
/// microseconds.
pub fn current_thread() -> ThreadId {
    #[cfg(target_os = "linux")]
    {
        thread_local! {
            static OWN: ThreadId = linux::current_thread();
        }
        // While the thread ends, its own variables are gone.
        OWN.try_with(|own| *own).unwrap_or_else(|_| linux::current_thread())
    }
    #[cfg(not(target_os = "linux"))]
    {
        ThreadId::of_tid(0)
    }
}

/// Ends the process at once: no destructor of a library runs, and no output is flushed.
#[allow(unsafe_code)]
pub fn end_process(code: u8) -> ! {
    #[cfg(unix)]
    // SAFETY: it does not return, and needs nothing of the process.
    unsafe {
        libc::_exit(i32::from(code))
    }
    #[cfg(not(unix))]
    {
        std::process::exit(i32::from(code))
    }
}

/// The limit of open files with which this process started.
#[cfg(unix)]
static FIRST_OPEN_FILES: std::sync::OnceLock<Option<u64>> = std::sync::OnceLock::new();

/// Returns the limit of open files with which this process started; `None` for no limit.
#[cfg(unix)]
pub(super) fn first_open_file_limit() -> Option<u64> {
    *FIRST_OPEN_FILES.get_or_init(open_file_limit)
}

/// Lets this process open as many files as the system allows it without privilege. Returns the limit in
/// force; `None` if there is none or it is unknown.
pub fn raise_open_file_limit() -> Option<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        FIRST_OPEN_FILES.get_or_init(|| limit.current);
        let raised = Rlimit { current: limit.maximum, ..limit };
        // If it cannot be raised, the lower one stays.
        let is_raised = setrlimit(Resource::Nofile, raised).is_ok();
        if is_raised { limit.maximum } else { limit.current }
    }
    #[cfg(not(unix))]
    {
        None
    }
}

/// Returns the most files that this process may have open at once; `None` if there is no limit or it is
/// unknown.
pub fn open_file_limit() -> Option<u64> {
    #[cfg(unix)]
    {
        rustix::process::getrlimit(rustix::process::Resource::Nofile).current
    }
    #[cfg(not(unix))]
    {
        None
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

/// Returns the threads of this process. Empty if
/// the system does not list them.
pub fn process_threads() -> Vec<NamedThread> {
    #[cfg(target_os = "linux")]
    {
        linux::process_threads()
    }
    #[cfg(not(target_os = "linux"))]
    {
        Vec::new()
    }
}

/// Returns the lowest nice value that this process may give to a thread whose value is higher: -20 with
/// `CAP_SYS_NICE`, else what `RLIMIT_NICE` allows (`getrlimit(2)`).
pub(crate) fn lowest_nice() -> i32 {
    /// The number of the capability `CAP_SYS_NICE`.
    #[cfg(target_os = "linux")]
    const CAP_SYS_NICE: u32 = 23;
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let capabilities = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
            .unwrap_or(0);
        if capabilities & (1 << CAP_SYS_NICE) != 0 {
            return -20;
        }
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nice).current;
        20 - limit.unwrap_or(40).min(40) as i32
    }
    #[cfg(not(target_os = "linux"))]
    {
        20
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
