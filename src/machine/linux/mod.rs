//! The real Linux machine: topology from sysfs, limits from cgroups, placement by system calls, times
//! and memory from `/proc`.

mod affinity;
mod cgroup;
pub(crate) mod child_processes;
mod machine;
mod proc;
mod scheduling;
mod sysfs;
#[cfg(test)]
pub(super) mod tests;

pub use machine::LinuxMachine;
pub(super) use proc::{current_thread, process_threads};
pub(super) use scheduling::{request_realtime, request_short_slice};
