//! The memory budgets of rows: a cgroup of divvy's own for processes that it started, and only a comparison
//! for others.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::own_cgroup::{OwnCgroup, OwnCgroups, run_name};
use crate::layout::Bytes;
use crate::machine::{ProcessFiles, ProcessId};
use crate::telemetry::ProcessView;

/// The memory cgroups of a run, made when a row first needs one.
#[derive(Debug)]
pub(super) struct MemoryGroups {
    files: ProcessFiles,
    groups: Mutex<Option<Result<OwnCgroups, String>>>,
}

impl MemoryGroups {
    /// No cgroup yet, for the system of `files`.
    pub(super) fn new(files: &ProcessFiles) -> Self {
        Self { files: files.clone(), groups: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Result<OwnCgroups, String>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a cgroup for a row. `own` are the processes that divvy started.
    fn make(&self, row: &str, mut own: BTreeSet<i32>) -> Result<OwnCgroup, String> {
        let pid = std::process::id() as i32;
        own.insert(pid);
        let mut groups = self.lock();
        let groups = groups.get_or_insert_with(|| self.detect(pid)).as_mut();
        groups.map_err(|reason| reason.clone())?.make(row, &own)
    }

    fn detect(&self, pid: i32) -> Result<OwnCgroups, String> {
        let start = |pid: i32| self.files.stat(pid).map(|stat| stat.id.start_ticks);
        let run = run_name(pid, start(pid).unwrap_or(0));
        let groups = OwnCgroups::detect(self.files.root(), &run)?;
        groups.remove_leftovers(|name| {
            let pid = name.split('-').next().and_then(|pid| pid.parse().ok());
            pid.is_some_and(|pid| start(pid).is_some_and(|start| run_name(pid, start) == name))
        });
        Ok(groups)
    }

    /// Removes all cgroups. Processes that are still in them keep running.
    pub(super) fn remove(&self) {
        if let Some(Ok(groups)) = &mut *self.lock() {
            for failure in groups.remove() {
                tracing::warn!("{failure}");
            }
        }
    }

    /// Returns the folder of the run's cgroups below `root`, whether they exist or not; `None` if it can
    /// make none.
    pub(super) fn folder(root: &Path) -> Option<std::path::PathBuf> {
        let pid = std::process::id() as i32;
        let start = ProcessFiles::new(root).stat(pid)?.id.start_ticks;
        let groups = OwnCgroups::detect(root, &run_name(pid, start));
        groups.ok().map(|groups| groups.folder())
    }
}

/// The surroundings of a row's memory budget.
pub(super) struct MemoryContext<'a> {
    pub(super) groups: &'a MemoryGroups,
    /// The row's name.
    pub(super) row: &'a str,
    /// Returns the numbers of all processes that divvy started.
    pub(super) started: &'a dyn Fn() -> BTreeSet<i32>,
}

/// The memory budget of one row.
#[derive(Debug, Default)]
pub(super) struct MemoryBudget {
    /// The budget in bytes.
    limit: Option<u64>,
    /// The budget that was passed to the kernel last.
    passed: Option<u64>,
    group: Option<OwnCgroup>,
    /// The reason why there is no cgroup, or why the kernel refused the limit.
    fault: Arc<Mutex<Option<String>>>,
}

impl MemoryBudget {
    /// Sets the budget in bytes, for the next [`MemoryBudget::enforce`].
    pub(super) fn set(&mut self, limit: Option<u64>) {
        self.limit = limit;
    }

    /// Moves the processes of a row, which divvy started, into a cgroup with the budget. Without a budget
    /// there is no cgroup, since it would give nothing that affinity does not give.
    pub(super) fn enforce(&mut self, context: &MemoryContext<'_>, members: &[ProcessId]) {
        if members.is_empty() || (self.limit.is_none() && self.group.is_none()) {
            return;
        }
        if self.group.is_none() {
            if self.fault().is_some() && self.passed == self.limit {
                return;
            }
            self.passed = self.limit;
            match context.groups.make(context.row, (context.started)()) {
                Ok(group) => {
                    self.group = Some(group);
                    self.passed = None;
                }
                Err(reason) => {
                    *lock(&self.fault) = Some(reason);
                    return;
                }
            }
        }
        let Some(group) = &self.group else { return };
        let mut fault = None;
        for member in members {
            if !group.has(member.pid) {
                fault = fault.or(group.take_in(member.pid).err());
            }
        }
        if self.passed != self.limit {
            self.passed = self.limit;
            fault = fault.or(self.pass_limit(group.clone()).err());
        }
        if fault.is_some() {
            *lock(&self.fault) = fault;
        }
    }

    /// Sets the kernel's limit on another thread: the call waits while the kernel frees memory.
    fn pass_limit(&self, group: OwnCgroup) -> Result<(), String> {
        let (limit, fault) = (self.limit, self.fault.clone());
        let set = move || *lock(&fault) = group.set_memory(limit).err();
        thread::Builder::new()
            .name("divvy-memory".to_owned())
            .spawn(set)
            .map(|_| ())
            .map_err(|error| format!("no thread could be started: {error}"))
    }

    fn fault(&self) -> Option<String> {
        lock(&self.fault).clone()
    }

    /// Returns the means that enforces the budget; empty if it is only reported.
    pub(super) fn means(&self) -> String {
        let group = self.group.as_ref().filter(|_| self.limit.is_some() && self.fault().is_none());
        group.map(OwnCgroup::memory_means).unwrap_or_default()
    }

    /// Returns why the processes are over the budget: "uses 9.1 GiB of 8.0 GiB". If they are several,
    /// shared pages count once, as far as that was measured.
    pub(super) fn excess(&self, view: &ProcessView) -> Option<String> {
        let limit = self.limit?;
        let shared_once = view.pss_bytes.filter(|_| view.process_count > 1);
        let used = shared_once.map_or(view.rss_bytes, |bytes| bytes.min(view.rss_bytes));
        if used <= limit {
            return None;
        }
        let (used, limit) = (Bytes(used).rounded(), Bytes(limit).rounded());
        let reason = self.fault().map(|reason| format!("; not limited: {reason}"));
        Some(format!("uses {used} of {limit}{}", reason.unwrap_or_default()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(processes: usize, rss: u64, pss: Option<u64>) -> ProcessView {
        ProcessView {
            process_count: processes,
            rss_bytes: rss << 20,
            pss_bytes: pss.map(|bytes| bytes << 20),
            ..ProcessView::default()
        }
    }

    #[test]
    fn excess_names_use_or_budget() {
        let mut budget = MemoryBudget::default();
        assert_eq!(budget.excess(&view(1, 900, None)), None);
        budget.set(Some(800 << 20));
        assert_eq!(budget.excess(&view(1, 800, None)), None);
        let message = budget.excess(&view(1, 900, None));
        assert_eq!(message.as_deref(), Some("uses 900.0 MiB of 800.0 MiB"));
    }

    #[test]
    fn shared_pages_count_once() {
        let mut budget = MemoryBudget::default();
        budget.set(Some(800 << 20));
        assert_eq!(budget.excess(&view(4, 2000, Some(700))), None);
        assert!(budget.excess(&view(4, 2000, None)).is_some(), "not measured yet");
        assert!(
            budget.excess(&view(1, 900, Some(700))).is_some(),
            "one process shares with others"
        );
    }

    fn enforce(budget: &mut MemoryBudget, groups: &MemoryGroups) {
        let context = MemoryContext { groups, row: "row", started: &BTreeSet::new };
        budget.enforce(&context, &[ProcessId { pid: 1, start_ticks: 1 }]);
    }

    #[test]
    fn unlimited_row_gets_no_cgroup() {
        let groups = MemoryGroups::new(&ProcessFiles::new(Path::new("/")));
        let mut budget = MemoryBudget::default();
        enforce(&mut budget, &groups);
        assert!(groups.lock().is_none() && budget.means().is_empty());
    }

    #[test]
    fn missing_hierarchy_is_the_reason() {
        let root = tempfile::tempdir().unwrap();
        let groups = MemoryGroups::new(&ProcessFiles::new(root.path()));
        let mut budget = MemoryBudget::default();
        budget.set(Some(1 << 20));
        enforce(&mut budget, &groups);
        assert_eq!(budget.means(), "");
        let message = budget.excess(&view(1, 2, None)).unwrap();
        assert_eq!(
            message,
            "uses 2.0 MiB of 1.0 MiB; not limited: no cgroup hierarchy with the memory controller is \
             mounted"
        );
    }

    #[test]
    fn started_process_gets_a_limit() {
        let files = ProcessFiles::new(Path::new("/"));
        let groups = MemoryGroups::new(&files);
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let id = files.stat(child.id() as i32).unwrap().id;
        let started = || BTreeSet::from([id.pid]);
        let context = MemoryContext { groups: &groups, row: "row", started: &started };
        let mut budget = MemoryBudget::default();
        budget.set(Some(64 << 20));
        budget.enforce(&context, &[id]);
        if let Some(reason) = budget.fault() {
            eprintln!("skipped: {reason}");
        } else {
            let group = budget.group.clone().unwrap();
            assert!(group.has(id.pid));
            assert!(budget.means().starts_with("memory."), "{}", budget.means());
            let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
            while group.memory_limit() != Some(64 << 20) {
                assert!(std::time::Instant::now() < patience, "{:?}", budget.fault());
                thread::sleep(std::time::Duration::from_millis(5));
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        groups.remove();
        let is_left =
            groups.lock().as_ref().and_then(|groups| groups.as_ref().ok().map(OwnCgroups::folder));
        assert!(is_left.is_none_or(|folder| !folder.exists()));
    }
}
