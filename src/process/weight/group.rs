//! The scheduling group of a process: the processes with which the kernel compares its nice value.
//!
//! The kernel divides a core among the groups first, by their own weights, and then among the threads of
//! each group, by their nice values (`Documentation/scheduler/sched-design-CFS.rst`, section 7). So nice
//! values compare only inside one group. A group is a cgroup of the `cpu` controller, or else the autogroup
//! of a session (`sched(7)`, "The autogroup feature"). Autogroups apply only to processes in the root cgroup
//! of that controller.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::machine::cgroup_mounts::{CgroupMounts, CgroupVersion};
use crate::machine::{ProcessFiles, ProcessId, RunState};

/// The scheduling group of a process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SchedulingGroup {
    /// The root group: its threads compete with whole groups, each by its own nice value.
    Root,
    /// The autogroup of a session, by its number.
    Autogroup(u64),
    /// A cgroup of the `cpu` controller.
    Cgroup {
        /// Its path, as `/proc/PID/cgroup` has it.
        path: String,
        /// Its folder; `None` if it is outside of what this process can see.
        folder: Option<PathBuf>,
    },
}

/// The autogroup of a process and its nice value (`/proc/PID/autogroup`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Autogroup {
    pub(super) id: u64,
    pub(super) nice: i32,
}

/// A process with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupProcess {
    pub(super) id: ProcessId,
    pub(super) name: String,
}

/// Reads the scheduling groups of processes.
#[derive(Debug)]
pub(super) struct GroupReader {
    root: PathBuf,
    files: ProcessFiles,
    mounts: CgroupMounts,
}

impl GroupReader {
    /// The reader of the groups below `root` (`/` on the real machine).
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            files: ProcessFiles::new(root),
            mounts: CgroupMounts::read(root),
        }
    }

    /// Returns the files of other processes.
    pub(super) fn files(&self) -> &ProcessFiles {
        &self.files
    }

    /// Returns the folder of a process in `/proc`.
    fn folder(&self, pid: i32) -> PathBuf {
        self.root.join("proc").join(pid.to_string())
    }

    /// Returns the group of a process; `None` if the process has ended or is hidden.
    pub(super) fn group(&self, pid: i32) -> Option<SchedulingGroup> {
        let groups = fs::read_to_string(self.folder(pid).join("cgroup")).ok()?;
        if let Some(cgroup) = self.cpu_cgroup(&groups) {
            return Some(cgroup);
        }
        let autogroup = self.autogroup(pid).filter(|_| self.has_autogroups());
        Some(autogroup.map_or(SchedulingGroup::Root, |group| SchedulingGroup::Autogroup(group.id)))
    }

    /// Returns the autogroup of a process, in force or not; `None` if it is in none, as kernel threads.
    pub(super) fn autogroup(&self, pid: i32) -> Option<Autogroup> {
        parse_autogroup(&fs::read_to_string(self.folder(pid).join("autogroup")).ok()?)
    }

    /// Returns the numbers of all processes by autogroup, in force or not.
    pub(super) fn autogroup_pids(&self) -> BTreeMap<u64, Vec<i32>> {
        let mut table: BTreeMap<u64, Vec<i32>> = BTreeMap::new();
        for pid in self.files.pids() {
            if let Some(group) = self.autogroup(pid) {
                table.entry(group.id).or_default().push(pid);
            }
        }
        table
    }

    /// Returns the processes in an autogroup, those with the lowest numbers first. A process that has ended
    /// but that its parent has not collected yet is left out.
    pub(super) fn autogroup_processes(&self, id: u64) -> Vec<GroupProcess> {
        self.live_processes(id, &self.autogroup_pids().remove(&id).unwrap_or_default())
    }

    /// Returns those of `pids` for which an autogroup is in force, as
    /// [`GroupReader::autogroup_processes`].
    pub(super) fn live_processes(&self, id: u64, pids: &[i32]) -> Vec<GroupProcess> {
        let mut found: Vec<GroupProcess> = pids
            .iter()
            .copied()
            // an autogroup is not in force for a process in another cgroup
            .filter(|pid| self.group(*pid) == Some(SchedulingGroup::Autogroup(id)))
            .filter_map(|pid| self.files.stat(pid))
            .filter(|stat| stat.state == RunState::Alive)
            .map(|stat| GroupProcess { id: stat.id, name: stat.name.into() })
            .collect();
        found.sort_by_key(|process| process.id);
        found
    }

    /// Returns the starts of the threads of a process by their numbers, in clock ticks since boot; none if
    /// the process has ended, also if another one has its number now.
    pub(super) fn threads(&self, process: ProcessId) -> BTreeMap<i32, u64> {
        if !self.runs(process) {
            return BTreeMap::new();
        }
        let start =
            |tid: i32| Some((tid, self.files.thread_stat(process.pid, tid)?.id.start_ticks));
        self.files.threads(process.pid).into_iter().filter_map(start).collect()
    }

    /// Returns true if a process runs: its number belongs to no other one.
    pub(super) fn runs(&self, process: ProcessId) -> bool {
        self.files.stat(process.pid).is_some_and(|stat| stat.id == process)
    }

    /// Sets the nice value of the autogroup of a process.
    ///
    /// # Errors
    /// The system's error: [`io::ErrorKind::WouldBlock`] if a program without privilege changed one in the
    /// last 100 ms, [`io::ErrorKind::PermissionDenied`] for a value below 0 or the process of another user.
    pub(super) fn set_autogroup(&self, process: ProcessId, nice: i32) -> io::Result<()> {
        if !self.runs(process) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let path = self.folder(process.pid).join("autogroup");
        // one system call: the kernel takes each write as a whole value
        OpenOptions::new().write(true).open(path)?.write_all(nice.to_string().as_bytes())
    }

    /// Returns the id of the machine's present boot; empty if it is hidden.
    pub(super) fn boot_id(&self) -> String {
        let path = self.root.join("proc/sys/kernel/random/boot_id");
        fs::read_to_string(path).unwrap_or_default().trim().to_owned()
    }

    /// Returns true if the kernel groups sessions.
    fn has_autogroups(&self) -> bool {
        let path = self.root.join("proc/sys/kernel/sched_autogroup_enabled");
        fs::read_to_string(path).is_ok_and(|text| text.trim() == "1")
    }

    /// Returns the group in the `cpu` controller's hierarchy, given the text of `/proc/PID/cgroup`; `None`
    /// for the root.
    fn cpu_cgroup(&self, groups: &str) -> Option<SchedulingGroup> {
        let place = self.mounts.place(groups, "cpu")?;
        if place.is_hidden() {
            return Some(SchedulingGroup::Cgroup { path: place.path, folder: None });
        }
        let folder = match place.version {
            // a container sees its own group at the top
            CgroupVersion::One if place.path == "/" => return None,
            CgroupVersion::One => place.folder(),
            // The controller need not be enabled for a group: then the group above counts. The root has no
            // weight.
            CgroupVersion::Two => place.folders().find(|at| at.join("cpu.weight").is_file())?,
        };
        let path = match folder.strip_prefix(&place.top) {
            Ok(below) if place.version == CgroupVersion::Two => format!("/{}", below.display()),
            _ => place.path,
        };
        Some(SchedulingGroup::Cgroup { path, folder: Some(folder) })
    }
}

/// Parses `/autogroup-214 nice 0`.
fn parse_autogroup(text: &str) -> Option<Autogroup> {
    let (id, nice) = text.trim().strip_prefix("/autogroup-")?.split_once(" nice ")?;
    Some(Autogroup { id: id.parse().ok()?, nice: nice.trim().parse().ok()? })
}

/// Returns the program that manages a cgroup and the setting that gives it a weight there, judged by the
/// group's path.
pub(in crate::process) fn manager_of(path: &str) -> (&'static str, &'static str) {
    let has = |part: &str| path.contains(part);
    let is_unit =
        |part: &str| [".service", ".scope", ".slice"].iter().any(|end| part.ends_with(end));
    if has("kubepods") {
        ("Kubernetes", "set the CPU request of its container")
    } else if has("docker") {
        ("Docker", "set --cpu-shares of its container")
    } else if has("libpod") {
        ("Podman", "set --cpu-shares of its container")
    } else if has("lxc") {
        ("LXC", "set the CPU limits of its container")
    } else if path.split('/').any(is_unit) {
        ("systemd", "set CPUWeight there")
    } else {
        ("another program", "set its weight there")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Writes the files of one process below `root`.
    pub(in crate::process::weight) fn write_process(
        root: &Path,
        pid: i32,
        cgroup: &str,
        autogroup: &str,
    ) {
        let folder = root.join("proc").join(pid.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cgroup"), cgroup).unwrap();
        fs::write(folder.join("autogroup"), autogroup).unwrap();
        let stat = format!("{pid} (p{pid}) S 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 {pid}00 0 0\n");
        fs::write(folder.join("stat"), stat).unwrap();
    }

    /// Writes the mounts, and enables autogroups.
    pub(in crate::process::weight) fn write_mounts(root: &Path, lines: &str) {
        fs::create_dir_all(root.join("proc/self")).unwrap();
        fs::write(root.join("proc/self/mountinfo"), lines).unwrap();
        fs::create_dir_all(root.join("proc/sys/kernel")).unwrap();
        fs::write(root.join("proc/sys/kernel/sched_autogroup_enabled"), "1\n").unwrap();
    }

    pub(in crate::process::weight) const V1: &str =
        "32 31 0:29 / /cg/cpu rw - cgroup cgroup rw,cpu\n";
    pub(in crate::process::weight) const V2: &str = "29 22 0:26 / /cg rw - cgroup2 cgroup2 rw\n";

    fn path(group: Option<SchedulingGroup>) -> String {
        match group {
            Some(SchedulingGroup::Cgroup { path, .. }) => path,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn cgroup_takes_precedence_over_autogroup() {
        let root = tempfile::tempdir().unwrap();
        write_mounts(root.path(), V1);
        write_process(root.path(), 5, "1:cpu:/a\n0::/\n", "/autogroup-3 nice 0\n");
        write_process(root.path(), 6, "1:cpu:/\n0::/b\n", "/autogroup-3 nice 2\n");
        write_process(root.path(), 7, "1:cpu:/\n", "");
        let reader = GroupReader::new(root.path());
        assert_eq!(path(reader.group(5)), "/a");
        assert_eq!(reader.group(6), Some(SchedulingGroup::Autogroup(3)));
        assert_eq!(reader.autogroup(6), Some(Autogroup { id: 3, nice: 2 }));
        assert_eq!(reader.group(7), Some(SchedulingGroup::Root));
        assert_eq!(reader.group(8), None);
        let names: Vec<_> = reader.autogroup_processes(3).into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["p6"], "process 5 is in a cgroup");
    }

    #[test]
    fn v2_group_is_where_cpu_is_enabled() {
        let root = tempfile::tempdir().unwrap();
        write_mounts(root.path(), V2);
        let top = root.path().join("cg");
        fs::create_dir_all(top.join("a.slice/b.service/inner")).unwrap();
        fs::create_dir_all(top.join("plain")).unwrap();
        for group in ["a.slice", "a.slice/b.service"] {
            fs::write(top.join(group).join("cpu.weight"), "100\n").unwrap();
        }
        write_process(root.path(), 5, "0::/a.slice/b.service/inner\n", "/autogroup-3 nice 0\n");
        write_process(root.path(), 6, "0::/plain\n", "/autogroup-3 nice 0\n");
        write_process(root.path(), 7, "0::/../x.service\n", "/autogroup-3 nice 0\n");
        let reader = GroupReader::new(root.path());
        assert_eq!(path(reader.group(5)), "/a.slice/b.service");
        assert_eq!(reader.group(6), Some(SchedulingGroup::Autogroup(3)));
        assert_eq!(path(reader.group(7)), "/../x.service");
    }

    #[test]
    fn disabled_autogroups_leave_the_root() {
        let root = tempfile::tempdir().unwrap();
        write_mounts(root.path(), V1);
        write_process(root.path(), 5, "1:cpu:/\n", "/autogroup-3 nice 0\n");
        let switch = root.path().join("proc/sys/kernel/sched_autogroup_enabled");
        fs::write(&switch, "0\n").unwrap();
        assert_eq!(GroupReader::new(root.path()).group(5), Some(SchedulingGroup::Root));
        fs::remove_file(switch).unwrap();
        assert_eq!(GroupReader::new(root.path()).group(5), Some(SchedulingGroup::Root));
    }

    #[test]
    fn path_tells_the_manager() {
        let name = |path| manager_of(path).0;
        assert_eq!(name("/system.slice/ollama.service"), "systemd");
        assert_eq!(name("/system.slice/docker-4f.scope"), "Docker");
        assert_eq!(name("/docker/4f"), "Docker");
        assert_eq!(name("/kubepods.slice/kubepods-burstable.slice/x"), "Kubernetes");
        assert_eq!(name("/mine"), "another program");
    }
}
