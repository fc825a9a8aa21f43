//! The cgroups of one run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::files::{file_name, has_word, make_folder, pids, remove_group, subfolders, write};
use super::row_group::OwnCgroup;
use crate::machine::cgroup_mounts::{CgroupMounts, CgroupPlace, CgroupVersion, is_delegated};
use crate::process::weight::manager_of;

/// The start of the names of divvy's cgroups.
const PREFIX: &str = "divvy-";

/// The group of divvy itself while it has groups below its own (v2): a group that contains processes can
/// have no controllers enabled for groups below it.
const MAIN: &str = "divvy";

/// The controller that divvy uses.
const CONTROLLER: &str = "memory";

/// The cgroups of one run.
#[derive(Debug)]
pub(in crate::process) struct OwnCgroups {
    version: CgroupVersion,
    /// The folder of divvy's own group.
    pub(super) base: PathBuf,
    /// The path of that group.
    path: String,
    /// The name of the run's folder below it.
    run: String,
    is_prepared: bool,
    /// True if the controller was enabled for the groups below divvy's own, which is undone at the end.
    has_enabled: bool,
    /// Processes of divvy's own group that were moved into [`MAIN`].
    moved: Vec<i32>,
    /// The number of groups made so far, which keeps their names apart.
    made: usize,
}

impl OwnCgroups {
    /// Finds divvy's own group below `root`. `run` is unique among the runs on this machine; use
    /// [`run_name`]. Changes nothing.
    ///
    /// # Errors
    /// The reason why divvy can make no cgroups here, with a remedy.
    pub(in crate::process) fn detect(root: &Path, run: &str) -> Result<Self, String> {
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let place = CgroupMounts::read(root).place(&groups, CONTROLLER).ok_or_else(|| {
            format!("no cgroup hierarchy with the {CONTROLLER} controller is mounted")
        })?;
        require_delegated(&place)?;
        let base = place.folder();
        if !base.is_dir() {
            return Err(format!("{} does not exist", base.display()));
        }
        if place.version == CgroupVersion::Two
            && !has_word(&base.join("cgroup.controllers"), CONTROLLER)
        {
            return Err(format!(
                "the {CONTROLLER} controller is not enabled for cgroup {}",
                place.path
            ));
        }
        Ok(Self {
            version: place.version,
            base,
            path: place.path.trim_end_matches('/').to_owned(),
            run: format!("{PREFIX}{run}"),
            is_prepared: false,
            has_enabled: false,
            moved: Vec::new(),
            made: 0,
        })
    }

    /// Returns the folder of the run's cgroups.
    pub(in crate::process) fn folder(&self) -> PathBuf {
        self.base.join(&self.run)
    }

    /// Makes a cgroup for a row. `own` are the processes that divvy may move: itself and those that it
    /// started.
    ///
    /// # Errors
    /// The reason why a group could not be made.
    pub(in crate::process) fn make(
        &mut self,
        row: &str,
        own: &BTreeSet<i32>,
    ) -> Result<OwnCgroup, String> {
        if !self.is_prepared {
            self.prepare(own)?;
            self.is_prepared = true;
        }
        self.made += 1;
        let name = format!("{}-{}", self.made, file_name(row));
        let group = OwnCgroup {
            version: self.version,
            folder: self.folder().join(&name),
            path: format!("{}/{}/{name}", self.path, self.run),
        };
        make_folder(&group.folder)?;
        Ok(group)
    }

    /// Makes the run's folder, and enables the controller for the groups below it.
    fn prepare(&mut self, own: &BTreeSet<i32>) -> Result<(), String> {
        let folder = self.folder();
        if self.version == CgroupVersion::One {
            make_folder(&folder)?;
            return Ok(());
        }
        let control = self.base.join("cgroup.subtree_control");
        let is_enabled = has_word(&control, CONTROLLER);
        // Only the machine's root group has no such file; it may have both processes and controllers.
        let is_root = !self.base.join("cgroup.type").exists();
        let inside = pids(&self.base);
        let others = inside.iter().filter(|pid| !own.contains(pid)).count();
        if !is_enabled && !is_root && others > 0 {
            return Err(format!(
                "divvy is not alone in cgroup {}/, so the {} controller cannot be enabled below it: \
                 start it with `systemd-run --user --scope -p Delegate=yes divvy ...`",
                self.path, CONTROLLER
            ));
        }
        make_folder(&folder)?;
        if !is_enabled {
            if !is_root {
                let main = folder.join(MAIN);
                make_folder(&main)?;
                for pid in inside {
                    write(&main.join("cgroup.procs"), &pid.to_string())?;
                    self.moved.push(pid);
                }
            }
            write(&control, &format!("+{CONTROLLER}"))?;
            self.has_enabled = true;
        }
        write(&folder.join("cgroup.subtree_control"), &format!("+{CONTROLLER}"))
    }

    /// Removes all groups of the run, and undoes what made them possible. Processes that are still in them
    /// move to divvy's own group. Returns one message per failure.
    pub(in crate::process) fn remove(&mut self) -> Vec<String> {
        if !self.is_prepared && self.moved.is_empty() {
            return Vec::new();
        }
        let folder = self.folder();
        let mut failures = Vec::new();
        let rows: Vec<PathBuf> =
            subfolders(&folder).into_iter().filter(|row| !row.ends_with(MAIN)).collect();
        // v2 takes no process into a group that has the controller enabled for those below it
        let refuge = match self.version {
            CgroupVersion::Two if self.has_enabled && !self.moved.is_empty() => folder.join(MAIN),
            CgroupVersion::One | CgroupVersion::Two => self.base.clone(),
        };
        for row in rows {
            failures.extend(remove_group(&row, &refuge).err());
        }
        if self.version == CgroupVersion::Two {
            let disable = format!("-{CONTROLLER}");
            failures.extend(write(&folder.join("cgroup.subtree_control"), &disable).err());
            if std::mem::take(&mut self.has_enabled) {
                failures.extend(write(&self.base.join("cgroup.subtree_control"), &disable).err());
            }
        }
        self.moved.clear();
        if folder.join(MAIN).is_dir() {
            failures.extend(remove_group(&folder.join(MAIN), &self.base).err());
        }
        failures.extend(remove_group(&folder, &self.base).err());
        self.is_prepared = false;
        failures
    }

    /// Removes the groups of runs that have ended without doing so, if no process is left in them.
    /// `is_running` returns true if a run still exists, by the name that it passed to
    /// [`OwnCgroups::detect`].
    pub(in crate::process) fn remove_leftovers(&self, is_running: impl Fn(&str) -> bool) {
        for folder in subfolders(&self.base) {
            let name = folder.file_name().and_then(|name| name.to_str());
            let Some(run) = name.and_then(|name| name.strip_prefix(PREFIX)) else { continue };
            if folder == self.folder() || is_running(run) {
                continue;
            }
            // fails where a process is left, which keeps its limits
            for row in subfolders(&folder) {
                let _ = fs::remove_dir(row);
            }
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Returns the name of a run: the number of its process, and the process's start in clock ticks.
pub(in crate::process) fn run_name(pid: i32, start: u64) -> String {
    format!("{pid}-{start}")
}

/// Refuses a group that belongs to another program.
fn require_delegated(place: &CgroupPlace) -> Result<(), String> {
    let path = &place.path;
    if place.is_hidden() {
        return Err(format!("divvy's own cgroup {path} is outside of what it can see"));
    }
    let (manager, _) = manager_of(path);
    if place.is_top() || manager == "another program" || is_delegated(&place.folder()) {
        return Ok(());
    }
    let remedy = match manager {
        "systemd" => "start divvy with `systemd-run --scope -p Delegate=yes divvy ...`",
        _ => "limit its memory there",
    };
    Err(format!("divvy is in cgroup {path}, which {manager} manages: {remedy}"))
}
