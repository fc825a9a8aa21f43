//! The nice values that divvy found before it changed them: what a restore needs, also after a crash.

use std::path::Path;
use std::time::Duration;
use std::{io, thread};

use serde::{Deserialize, Serialize};

use super::group::GroupReader;
use super::thread_nice::set_thread_nice;
use crate::machine::{ForeignProcess, ProcessId};

/// Time in which the kernel takes one new nice value of an autogroup from programs without privilege.
const RETRY_PAUSE: Duration = Duration::from_millis(110);

/// The most attempts after the first.
const MOST_RETRIES: usize = 5;

/// The nice values that divvy found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::process) struct WeightOriginals {
    /// The id of the machine's boot: numbers of processes and autogroups are from that one.
    pub(super) boot: String,
    /// Of processes whose threads it changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) processes: Vec<ProcessNice>,
    /// Of autogroups that it changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) autogroups: Vec<AutogroupNice>,
}

/// The nice values of one process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProcessNice {
    pub(super) process: ProcessId,
    /// That of its first thread, and of threads that start later.
    pub(super) nice: i32,
    /// Threads with other values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) threads: Vec<ThreadNice>,
}

/// The nice value of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ThreadNice {
    pub(super) tid: i32,
    /// When it started, in clock ticks since boot.
    pub(super) start_ticks: u64,
    pub(super) nice: i32,
}

/// The nice value of an autogroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AutogroupNice {
    pub(super) id: u64,
    pub(super) nice: i32,
    /// A process in it.
    pub(super) process: ProcessId,
}

impl WeightOriginals {
    /// Returns true if nothing was changed.
    pub(in crate::process) fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.autogroups.is_empty()
    }

    /// Returns the processes that it names.
    pub(in crate::process) fn named_processes(&self) -> impl Iterator<Item = ProcessId> {
        let processes = self.processes.iter().map(|process| process.process);
        processes.chain(self.autogroups.iter().map(|group| group.process))
    }

    /// Returns true if a process or an autogroup that it names still has another value.
    pub(in crate::process) fn differs(&self, root: &Path) -> bool {
        let reader = GroupReader::new(root);
        let differs = |process: &ProcessNice| {
            let id = process.process;
            ForeignProcess::find(reader.files(), id)
                .and_then(|foreign| foreign.nice(id.pid).ok())
                .is_some_and(|now| now != process.nice)
        };
        let group_differs = |group: &AutogroupNice| {
            reader.runs(group.process)
                && reader
                    .autogroup(group.process.pid)
                    .is_some_and(|now| now.id == group.id && now.nice != group.nice)
        };
        self.boot == reader.boot_id()
            && (self.processes.iter().any(differs) || self.autogroups.iter().any(group_differs))
    }

    /// Restores the values of those processes that still run, on the system below `root`. Returns
    /// one message per failure.
    pub(in crate::process) fn restore(&self, root: &Path) -> Vec<String> {
        self.restore_below(&GroupReader::new(root))
    }

    /// As [`WeightOriginals::restore`].
    pub(super) fn restore_below(&self, reader: &GroupReader) -> Vec<String> {
        if self.boot != reader.boot_id() {
            return Vec::new();
        }
        let mut failures = Vec::new();
        for process in &self.processes {
            let id = process.process;
            let threads = reader.threads(id);
            let Some(foreign) = ForeignProcess::find(reader.files(), id) else { continue };
            for (tid, start_ticks) in threads {
                let is_thread =
                    |thread: &&ThreadNice| (thread.tid, thread.start_ticks) == (tid, start_ticks);
                let thread = process.threads.iter().find(is_thread);
                let nice = thread.map_or(process.nice, |thread| thread.nice);
                failures.extend(set_thread_nice(foreign, id, tid, nice).err());
            }
        }
        for group in &self.autogroups {
            if let Err(failure) = group.restore(reader) {
                failures.push(failure);
            }
        }
        failures
    }
}

impl AutogroupNice {
    fn restore(self, reader: &GroupReader) -> Result<(), String> {
        let group = self;
        // The process may have ended, or left the group, while others are still in it.
        let is_in_group = |pid: i32| reader.autogroup(pid).is_some_and(|now| now.id == group.id);
        let process = if reader.runs(group.process) && is_in_group(group.process.pid) {
            group.process
        } else {
            // without processes, the group is gone
            let processes = reader.autogroup_processes(group.id);
            let Some(process) = processes.first() else { return Ok(()) };
            process.id
        };
        let mut result = reader.set_autogroup(process, group.nice);
        for _ in 0..MOST_RETRIES {
            if !matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                break;
            }
            thread::sleep(RETRY_PAUSE);
            result = reader.set_autogroup(process, group.nice);
        }
        result.map_err(|error| {
            format!(
                "autogroup {} could not be restored to nice {}: {error}; run `echo {} > \
                 /proc/{}/autogroup`",
                group.id, group.nice, group.nice, process.pid
            )
        })
    }
}
