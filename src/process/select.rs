//! The choice of the processes that a row's source means.

use std::path::{Path, PathBuf};

use super::catalog::ProcessCatalog;
use super::scan::Scan;
use crate::layout::{ProcessFilter, ProcessSelector, ProcessSource};
use crate::machine::{ProcessId, ProcessStat, RunState};

/// The most processes that a row takes in, without their descendants.
const MOST_ROOTS: usize = 32;

/// The most processes that a message lists.
const MOST_IN_MESSAGE: usize = 10;

/// divvy's own process and its ancestors, which can be no rows.
pub(super) struct OwnProcesses {
    own: i32,
    ancestors: Vec<i32>,
}

impl OwnProcesses {
    /// Finds the ancestors of process `own`, which is divvy.
    pub(super) fn new(scan: &Scan, own: i32) -> Self {
        Self { own, ancestors: scan.ancestors(own) }
    }

    /// Returns divvy's own process.
    pub(super) fn pid(&self) -> i32 {
        self.own
    }

    /// Returns all of them.
    pub(super) fn pids(&self) -> impl Iterator<Item = i32> {
        self.ancestors.iter().copied().chain([self.own])
    }

    /// Returns the reason why a process can be no row; `None` if it can.
    pub(super) fn refusal(&self, process: &ProcessStat) -> Option<String> {
        let (pid, name) = (process.id.pid, &process.name);
        if pid == 1 {
            return Some("process 1 starts and ends all others".to_owned());
        }
        if process.is_kernel_thread {
            return Some(format!("process {pid} ({name}) is a thread of the kernel"));
        }
        if pid == self.own {
            return Some(format!("process {pid} is divvy itself"));
        }
        if self.ancestors.contains(&pid) {
            return Some(format!(
                "process {pid} ({name}) is an ancestor of divvy, which would belong to it"
            ));
        }
        if process.state == RunState::Zombie {
            return Some(format!("process {pid} ({name}) has ended; its parent has not noticed"));
        }
        None
    }
}

/// Chooses processes.
pub(super) struct ProcessChooser<'a> {
    pub(super) scan: &'a Scan,
    pub(super) catalog: &'a mut ProcessCatalog,
    pub(super) own: &'a OwnProcesses,
}

impl<'a> ProcessChooser<'a> {
    /// Returns the processes that a source means, without those that descend from others of them.
    /// `known` is the process that a PID has meant before: a number can be used again.
    ///
    /// # Errors
    /// The reason why it means none that divvy may choose, or too many, with a remedy.
    pub(super) fn choose(
        &mut self,
        source: &ProcessSource,
        known: Option<ProcessId>,
    ) -> Result<Vec<ProcessId>, String> {
        let matching = match &source.selector {
            ProcessSelector::Pid(pid) => self.by_pid(*pid, known)?,
            ProcessSelector::Exe(exe) => {
                let target = link_target(exe);
                self.matching(|chooser, it| {
                    chooser.has_exe(it, exe) || chooser.is_file(it, target.as_deref())
                })?
            }
            ProcessSelector::Cgroup(path) => {
                self.matching(|chooser, it| chooser.is_in_cgroup(it, path))?
            }
            ProcessSelector::Command(_) => return Ok(Vec::new()),
        };
        let mut found = Vec::new();
        for process in matching {
            if self.meets(process, &source.filter) {
                found.push(process.id);
            }
        }
        found.sort_unstable();
        let is_inner = |id: &ProcessId| {
            let ancestors = self.scan.ancestors(id.pid);
            ancestors.iter().any(|pid| found.iter().any(|other| other.pid == *pid))
        };
        let roots: Vec<ProcessId> = found.iter().filter(|id| !is_inner(id)).copied().collect();
        if roots.len() > MOST_ROOTS {
            return Err(self.too_many(source, &roots));
        }
        Ok(roots)
    }

    fn by_pid(
        &mut self,
        pid: i32,
        known: Option<ProcessId>,
    ) -> Result<Vec<&'a ProcessStat>, String> {
        let Some(process) = self.scan.by_pid(pid) else { return Ok(Vec::new()) };
        if known.is_some_and(|known| known != process.id) {
            return Ok(Vec::new());
        }
        match self.own.refusal(process) {
            Some(reason) => Err(format!("{reason}: choose another one")),
            None => Ok(vec![process]),
        }
    }

    /// Returns the processes that match and may be chosen.
    ///
    /// # Errors
    /// The reason why one may not be chosen, if that leaves none.
    fn matching(
        &mut self,
        mut matches: impl FnMut(&mut Self, &ProcessStat) -> bool,
    ) -> Result<Vec<&'a ProcessStat>, String> {
        let (mut found, mut refused) = (Vec::new(), None);
        let scan = self.scan;
        // Kernel threads have no executable, and are in the topmost cgroup.
        for process in scan.processes().filter(|process| !process.is_kernel_thread) {
            if !matches(self, process) {
                continue;
            }
            match self.own.refusal(process) {
                // A zombie is on its way out.
                Some(reason) if process.state == RunState::Alive => refused = Some(reason),
                Some(_) => {}
                None => found.push(process),
            }
        }
        match refused {
            Some(reason) if found.is_empty() => Err(format!("{reason}: choose another one")),
            _ => Ok(found),
        }
    }

    fn has_exe(&mut self, process: &ProcessStat, exe: &str) -> bool {
        if Path::new(exe).is_absolute() {
            return self.catalog.exe(process).is_some_and(|path| path == Path::new(exe));
        }
        let has_file = |path: &Path| path.file_name().is_some_and(|name| name == exe);
        self.catalog.exe(process).as_deref().is_some_and(has_file)
            || self.catalog.exe_name(process) == exe
    }

    fn is_file(&mut self, process: &ProcessStat, file: Option<&Path>) -> bool {
        file.is_some() && self.catalog.exe(process).as_deref() == file
    }

    fn is_in_cgroup(&mut self, process: &ProcessStat, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let is_below = |group: &String| {
            group.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.catalog.cgroups(process).iter().any(is_below)
    }

    fn meets(&mut self, process: &ProcessStat, filter: &ProcessFilter) -> bool {
        let ProcessFilter { cmdline, user, cwd } = filter;
        cmdline.as_ref().is_none_or(|text| self.catalog.command_line(process).contains(text))
            && user.as_ref().is_none_or(|user| self.catalog.belongs_to(process, user))
            && cwd.as_ref().is_none_or(|cwd| self.catalog.cwd(process).as_ref() == Some(cwd))
    }

    fn too_many(&mut self, source: &ProcessSource, roots: &[ProcessId]) -> String {
        let mut lines = Vec::new();
        for process in roots.iter().filter_map(|id| self.scan.get(*id)).take(MOST_IN_MESSAGE) {
            let command: String = self.catalog.command(process).chars().take(60).collect();
            lines.push(format!("{} {command}", process.id));
        }
        let rest = roots.len().saturating_sub(MOST_IN_MESSAGE);
        format!(
            "{} matches {} processes, more than {MOST_ROOTS}: {} and {rest} more; narrow it with `where` \
             (cmdline, user or cwd)",
            source.description(),
            roots.len(),
            lines.join(", "),
        )
    }
}

/// Returns the file to which an absolute path leads.
fn link_target(exe: &str) -> Option<PathBuf> {
    std::fs::canonicalize(Some(exe).filter(|exe| Path::new(exe).is_absolute())?).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::scan::tests::{process, scan_of};
    use super::*;
    use crate::machine::ProcessFiles;

    /// A tree of `/proc` with the details of processes.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn add(&self, pid: i32, exe: &str, command: &str) -> &Self {
            let folder = self.0.path().join(format!("proc/{pid}"));
            fs::create_dir_all(&folder).unwrap();
            symlink(exe, folder.join("exe")).unwrap();
            symlink("/srv", folder.join("cwd")).unwrap();
            fs::write(folder.join("cmdline"), command.replace(' ', "\0")).unwrap();
            fs::write(folder.join("status"), "Uid:\t26\t26\t26\t26\nNSpid:\t5\n").unwrap();
            fs::write(folder.join("cgroup"), format!("0::/system.slice/s{pid}.service/x\n"))
                .unwrap();
            self
        }

        fn catalog(&self) -> ProcessCatalog {
            let etc = self.0.path().join("etc");
            fs::create_dir_all(&etc).unwrap();
            fs::write(etc.join("passwd"), "root:x:0:0::/:\npostgres:x:26:26::/:\n").unwrap();
            ProcessCatalog::new(ProcessFiles::new(self.0.path()))
        }
    }

    fn choose(tree: &Tree, scan: &Scan, source: &ProcessSource) -> Result<Vec<i32>, String> {
        let (mut catalog, own) = (tree.catalog(), OwnProcesses::new(scan, 900));
        let mut chooser = ProcessChooser { scan, catalog: &mut catalog, own: &own };
        let found = chooser.choose(source, None)?;
        Ok(found.iter().map(|id| id.pid).collect())
    }

    fn exe(name: &str) -> ProcessSource {
        ProcessSource::new(ProcessSelector::Exe(name.to_owned()))
    }

    #[test]
    fn descendants_are_no_roots() {
        let tree = Tree::new();
        tree.add(10, "/usr/sbin/nginx", "nginx").add(11, "/usr/sbin/nginx", "nginx: worker");
        let scan = scan_of(&[process(10, 1, "nginx"), process(11, 10, "nginx")]);
        assert_eq!(choose(&tree, &scan, &exe("nginx")), Ok(vec![10]));
    }

    #[test]
    fn removed_executable_still_matches() {
        let tree = Tree::new();
        tree.add(10, "/opt/bin/tritonserver (deleted)", "tritonserver");
        let scan = scan_of(&[process(10, 1, "tritonserver")]);
        assert_eq!(choose(&tree, &scan, &exe("tritonserver")), Ok(vec![10]));
        assert_eq!(choose(&tree, &scan, &exe("/opt/bin/tritonserver")), Ok(vec![10]));
        assert_eq!(choose(&tree, &scan, &exe("/bin/tritonserver")), Ok(vec![]));
    }

    #[test]
    fn hidden_executable_falls_back_to_the_name() {
        let scan = scan_of(&[process(10, 1, "secretd")]);
        assert_eq!(choose(&Tree::new(), &scan, &exe("secretd")), Ok(vec![10]));
    }

    #[test]
    fn link_matches_by_either_name() {
        let tree = Tree::new();
        tree.add(10, "/usr/bin/redis-check-rdb", "redis-server *:6379");
        let scan = scan_of(&[process(10, 1, "redis-server")]);
        for name in ["redis-server", "redis-check-rdb", "/usr/bin/redis-check-rdb"] {
            assert_eq!(choose(&tree, &scan, &exe(name)), Ok(vec![10]), "{name}");
        }
        assert_eq!(choose(&tree, &scan, &exe("redis")), Ok(vec![]));
    }

    #[test]
    fn cgroup_includes_those_below() {
        let tree = Tree::new();
        tree.add(10, "/bin/a", "a").add(101, "/bin/a", "a");
        let scan = scan_of(&[process(10, 1, "a"), process(101, 1, "a")]);
        let by = |path: &str| ProcessSource::new(ProcessSelector::Cgroup(path.to_owned()));
        assert_eq!(choose(&tree, &scan, &by("/system.slice/s10.service")), Ok(vec![10]));
        assert_eq!(choose(&tree, &scan, &by("/system.slice/")), Ok(vec![10, 101]));
        assert_eq!(choose(&tree, &scan, &by("/system.slice/s1")), Ok(vec![]));
    }

    #[test]
    fn each_condition_has_to_hold() {
        let tree = Tree::new();
        tree.add(10, "/bin/python3", "python3 a.py").add(11, "/bin/python3", "python3 b.py");
        let scan = scan_of(&[process(10, 1, "python3"), process(11, 1, "python3")]);
        let found = |filter: ProcessFilter| {
            choose(&tree, &scan, &ProcessSource { filter, ..exe("python3") }).unwrap()
        };
        let all = ProcessFilter::default();
        let cmdline = Some("b.py".to_owned());
        assert_eq!(found(ProcessFilter { cmdline: cmdline.clone(), ..all.clone() }), [11]);
        for (user, count) in [("postgres", 2), ("26", 2), ("root", 0)] {
            let user = Some(user.to_owned());
            assert_eq!(found(ProcessFilter { user, ..all.clone() }).len(), count);
        }
        assert!(found(ProcessFilter { cmdline, cwd: Some("/".into()), ..all }).is_empty());
    }

    #[test]
    fn more_than_32_are_refused_with_a_list() {
        let (tree, mut all) = (Tree::new(), Vec::new());
        for pid in 10..43 {
            tree.add(pid, "/bin/sh", "sh run.sh");
            all.push(process(pid, 1, "sh"));
        }
        let error = choose(&tree, &scan_of(&all), &exe("sh")).unwrap_err();
        assert!(
            error.starts_with("exe sh matches 33 processes, more than 32: 10 sh run.sh, "),
            "{error}"
        );
        assert!(error.contains("19 sh run.sh and 23 more; narrow it with `where`"), "{error}");
        assert_eq!(choose(&tree, &scan_of(&all[1..]), &exe("sh")).unwrap().len(), 32);
    }

    #[test]
    fn processes_that_divvy_needs_are_refused() {
        let zombie = ProcessStat { state: RunState::Zombie, ..process(20, 1, "gone") };
        let kernel = ProcessStat { is_kernel_thread: true, ..process(2, 0, "kthreadd") };
        let scan = scan_of(&[
            process(1, 0, "init"),
            kernel,
            zombie,
            process(800, 1, "bash"),
            process(900, 800, "divvy"),
        ]);
        let by_pid = |pid| {
            let source = ProcessSource::new(ProcessSelector::Pid(pid));
            choose(&Tree::new(), &scan, &source).unwrap_err()
        };
        for (pid, reason) in [
            (1, "process 1 starts"),
            (2, "is a thread of the kernel"),
            (20, "process 20 (gone) has ended"),
            (800, "process 800 (bash) is an ancestor of divvy"),
            (900, "process 900 is divvy itself"),
        ] {
            assert!(by_pid(pid).contains(reason), "{}", by_pid(pid));
        }
        let error = choose(&Tree::new(), &scan, &exe("bash")).unwrap_err();
        assert!(error.contains("process 800 (bash) is an ancestor of divvy"), "{error}");
        assert_eq!(choose(&Tree::new(), &scan, &exe("gone")), Ok(vec![]));
    }

    #[test]
    fn reused_pid_is_absent() {
        let scan = scan_of(&[process(20, 1, "sh")]);
        let tree = Tree::new();
        let (mut catalog, own) = (tree.catalog(), OwnProcesses::new(&scan, 900));
        let mut chooser = ProcessChooser { scan: &scan, catalog: &mut catalog, own: &own };
        let source = ProcessSource::new(ProcessSelector::Pid(20));
        let now = scan.by_pid(20).unwrap().id;
        assert_eq!(chooser.choose(&source, Some(now)), Ok(vec![now]));
        let earlier = ProcessId { start_ticks: 1, ..now };
        assert_eq!(chooser.choose(&source, Some(earlier)), Ok(vec![]));
    }
}
