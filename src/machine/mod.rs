//! The machine: its hardware, the part that this process may use, and the calls that place threads.
//!
//! All other code goes through the trait [`Machine`], which is the real Linux machine or, in tests, a
//! simulated one of any topology. Engines and pools never read `/proc` or `/sys` themselves.

mod access_token;
pub mod allocation;
pub(crate) mod cgroup_mounts;
mod clock;
mod cpu_set;
pub mod crash;
mod error;
mod file_write;
mod gpus;
pub mod heap;
mod interface;
#[cfg(target_os = "linux")]
mod linux;
mod panic_message;
// Also compiled for tests on Linux, so that it keeps building.
#[cfg(any(test, not(target_os = "linux")))]
mod portable;
#[cfg(any(test, not(target_os = "linux")))]
mod portable_children;
mod process;
mod process_relation;
mod processes;
pub mod resident;
mod running_time;
#[cfg(unix)]
mod session;
mod shared_token;
mod simulated;
mod special_file;
mod started_threads;
mod thread_id;
mod topology;

pub use access_token::{AccessToken, AccessTokenError};
pub use clock::{Clock, SimulatedClock, SystemClock};
pub use cpu_set::{CoreId, CpuListError, CpuSet, MAX_CORES};
pub use error::{AffinityError, MachineError};
pub(crate) use file_write::{create_file, replace_file, write_advice};
pub use gpus::{Gpu, GpuPart, Gpus};
pub use interface::{CoreTimes, Machine, MemoryUse, ThreadTimes};
#[cfg(target_os = "linux")]
pub use linux::LinuxMachine;
#[cfg(target_os = "linux")]
pub(crate) use linux::child_processes;
#[cfg(all(test, target_os = "linux"))]
pub(crate) use linux::tests::examples;
pub use panic_message::panic_message;
#[cfg(not(target_os = "linux"))]
pub use portable::PortableMachine;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable_children as child_processes;
pub(crate) use process::lowest_nice;
pub use process::{
    current_thread, end_process, open_file_limit, process_cpu_ns, process_threads,
    raise_open_file_limit, request_realtime, request_short_slice, this_machine,
};
pub(crate) use process_relation::{EndSignal, ProcessRelation};
pub(crate) use processes::is_shortage;
pub use processes::{
    CallerRights, ForeignError, ForeignProcess, ProcessFiles, ProcessId, ProcessStat, ProcessUsers,
    RunState, ThreadFile,
};
pub use running_time::{ProcessStop, note_running, process_stops, running_now, watch_stops};
#[cfg(unix)]
pub use session::{has_controlling_terminal, ignores_hangup, in_new_session};
pub use shared_token::{SharedToken, TokenGrant};
pub use simulated::{AffinityCall, SimulatedMachine};
pub use special_file::special_file_kind;
pub(crate) use started_threads::{Listening, ThreadListener, ThreadStarts};
pub use thread_id::{NamedThread, ThreadId};
pub use topology::{Core, CoreKind, Description, Limits, Topology};
