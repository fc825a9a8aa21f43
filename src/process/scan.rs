//! One reading of the system's processes.

use std::collections::HashMap;

use crate::machine::{ProcessFiles, ProcessId, ProcessStat, is_shortage};

/// One reading of the system's processes. Reads one file per process.
#[derive(Debug, Default)]
pub(super) struct Scan {
    processes: HashMap<i32, ProcessStat>,
    children: HashMap<i32, Vec<i32>>,
    is_partial: bool,
}

impl Scan {
    /// Reads all processes.
    pub(super) fn take(files: &ProcessFiles) -> Self {
        let mut is_partial = false;
        let read = |pid: i32| {
            let stat = files.read_stat(pid);
            is_partial |= stat.as_ref().is_err_and(is_shortage);
            stat.ok().flatten()
        };
        let scan = Self::of(files.pids().into_iter().filter_map(read));
        Self { is_partial: is_partial || scan.processes.is_empty(), ..scan }
    }

    /// Returns true if processes are missing that may run, as when divvy can open no more files.
    pub(super) fn is_partial(&self) -> bool {
        self.is_partial
    }

    fn of(processes: impl Iterator<Item = ProcessStat>) -> Self {
        let mut scan = Self::default();
        for process in processes {
            scan.children.entry(process.parent).or_default().push(process.id.pid);
            scan.processes.insert(process.id.pid, process);
        }
        scan
    }

    /// Returns all processes, in no order.
    pub(super) fn processes(&self) -> impl Iterator<Item = &ProcessStat> {
        self.processes.values()
    }

    /// Returns the process with a number.
    pub(super) fn by_pid(&self, pid: i32) -> Option<&ProcessStat> {
        self.processes.get(&pid)
    }

    /// Returns a process, if it still runs.
    pub(super) fn get(&self, id: ProcessId) -> Option<&ProcessStat> {
        self.by_pid(id.pid).filter(|process| process.id == id)
    }

    /// Returns the children of a process.
    pub(super) fn children(&self, pid: i32) -> impl Iterator<Item = &ProcessStat> {
        let children = self.children.get(&pid).map(Vec::as_slice).unwrap_or_default();
        children.iter().filter_map(|pid| self.by_pid(*pid))
    }

    /// Returns the numbers of a process's parent, grandparent and so on.
    pub(super) fn ancestors(&self, pid: i32) -> Vec<i32> {
        let mut ancestors = Vec::new();
        let mut next = self.by_pid(pid).map(|process| process.parent);
        // A scan is not one instant, so the parents could form a circle.
        while let Some(pid) = next.filter(|pid| *pid > 0 && !ancestors.contains(pid)) {
            ancestors.push(pid);
            next = self.by_pid(pid).map(|process| process.parent);
        }
        ancestors
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::machine::RunState;

    /// Returns a process that started at the tick of its number.
    pub(in crate::process) fn process(pid: i32, parent: i32, name: &str) -> ProcessStat {
        ProcessStat {
            id: ProcessId { pid, start_ticks: pid as u64 },
            name: name.into(),
            state: RunState::Alive,
            parent,
            session: 1,
            is_kernel_thread: false,
            cpu_ticks: 0,
            children_ticks: 0,
            threads: 1,
            resident_pages: 0,
            last_core: None,
        }
    }

    pub(in crate::process) fn scan_of(processes: &[ProcessStat]) -> Scan {
        Scan::of(processes.iter().cloned())
    }

    #[test]
    fn ancestors_end_at_the_first_process() {
        let scan = scan_of(&[process(1, 0, "init"), process(5, 1, "sh"), process(9, 5, "top")]);
        assert_eq!(scan.ancestors(9), [5, 1]);
        let circle = scan_of(&[process(5, 9, "a"), process(9, 5, "b")]);
        assert_eq!(circle.ancestors(9), [5, 9]);
    }

    #[test]
    fn another_start_is_another_process() {
        let scan = scan_of(&[process(5, 1, "sh")]);
        let id = ProcessId { pid: 5, start_ticks: 5 };
        assert!(scan.get(id).is_some());
        assert!(scan.get(ProcessId { start_ticks: 4, ..id }).is_none());
    }

    #[test]
    fn unread_processes_have_not_ended() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Scan::take(&ProcessFiles::new(folder.path())).is_partial());
        // EMFILE, ENOENT and EACCES.
        let is_short = |code| is_shortage(&std::io::Error::from_raw_os_error(code));
        assert_eq!([24, 2, 13].map(is_short), [true, false, false]);
    }

    #[test]
    fn finds_this_process() {
        let scan = Scan::take(&ProcessFiles::new(std::path::Path::new("/")));
        assert!(!scan.is_partial());
        let own = scan.by_pid(std::process::id() as i32).unwrap();
        assert!(own.threads > 0 && own.resident_pages > 0);
    }
}
