//! Cgroups that divvy makes for processes that it started: limits that affinity cannot give.
//!
//! They are below divvy's own group, never beside it: `divvy-RUN/ROW`. A group that another program manages
//! is only used if that program has delegated it (systemd: `Delegate=yes`). Processes that divvy did not
//! start are never moved.
//!
//! Memory that a process had before it was moved stays charged to its former group
//! (`Documentation/admin-guide/cgroup-v2.rst`, "Memory Ownership").

mod files;
mod row_group;
mod run_groups;
#[cfg(test)]
mod tests;

pub(super) use row_group::OwnCgroup;
pub(super) use run_groups::{OwnCgroups, run_name};
