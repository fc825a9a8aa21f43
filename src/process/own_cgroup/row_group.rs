//! The cgroup of one row.

use std::fs;
use std::path::PathBuf;

use super::files::{has_ended, pids, write};
use crate::machine::cgroup_mounts::CgroupVersion;

/// The cgroup of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::process) struct OwnCgroup {
    pub(super) version: CgroupVersion,
    pub(super) folder: PathBuf,
    pub(super) path: String,
}

impl OwnCgroup {
    /// Takes in a process that divvy started. Its descendants follow from then on.
    ///
    /// # Errors
    /// Why the kernel refused it. A process that has ended is no error.
    pub(in crate::process) fn take_in(&self, pid: i32) -> Result<(), String> {
        match fs::write(self.folder.join("cgroup.procs"), pid.to_string()) {
            Err(error) if !has_ended(&error) => {
                Err(format!("process {pid} cannot be moved to cgroup {}: {error}", self.path))
            }
            _ => Ok(()),
        }
    }

    /// Returns true if a process is in the group.
    pub(in crate::process) fn has(&self, pid: i32) -> bool {
        pids(&self.folder).contains(&pid)
    }

    /// Sets the memory limit in bytes. Waits while the kernel frees memory of the group, which can take
    /// seconds.
    ///
    /// # Errors
    /// Why the kernel refused it.
    pub(in crate::process) fn set_memory(&self, limit: Option<u64>) -> Result<(), String> {
        let (name, none) = self.memory_file();
        let value = limit.map_or_else(|| none.to_owned(), |bytes| bytes.to_string());
        write(&self.folder.join(name), &value)
    }

    /// Returns the memory limit in bytes, as the kernel has it; `None` if there is none.
    #[cfg(test)]
    pub(in crate::process) fn memory_limit(&self) -> Option<u64> {
        fs::read_to_string(self.folder.join(self.memory_file().0)).ok()?.trim().parse().ok()
    }

    fn memory_file(&self) -> (&'static str, &'static str) {
        match self.version {
            CgroupVersion::One => ("memory.limit_in_bytes", "-1"),
            CgroupVersion::Two => ("memory.high", "max"),
        }
    }

    /// Returns the means that limits its memory: `memory.limit_in_bytes` of cgroup `/divvy-1/1-web`.
    pub(in crate::process) fn memory_means(&self) -> String {
        let (name, _) = self.memory_file();
        format!("{name} of cgroup {}{}", self.path, self.label())
    }

    fn label(&self) -> &'static str {
        match self.version {
            CgroupVersion::One => "",
            CgroupVersion::Two => " (v2: not tried on a kernel)",
        }
    }
}
