//! Limits set by cgroups: cpuset, CPU quota and memory limit, from cgroup v1, v2 or a mix. Reads below
//! any root folder, so that tests can use written trees.
//!
//! Limits apply at each level of the hierarchy, so quota and memory are the lowest ones from the
//! process's own group up to the topmost one in the mount. A cgroup namespace hides the groups above;
//! where the kernel publishes a limit for the whole hierarchy, that counts too.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::sysfs::{list, number, text};
use crate::machine::CpuSet;

/// Limits from this many bytes on mean "no limit" (v1 writes the largest page-aligned number).
const NO_LIMIT: u64 = 1 << 60;

/// The current limits of the cgroups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct CgroupLimits {
    /// CPUs of the effective cpuset.
    pub cpuset: Option<CpuSet>,
    /// CPU time per wall time, in CPUs.
    pub quota: Option<f64>,
    /// The lowest memory limit, and the files with its use.
    pub memory: Option<CgroupMemory>,
}

/// A memory limit, and the files with its use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CgroupMemory {
    /// The limit in bytes.
    pub limit: u64,
    usage: PathBuf,
    stat: PathBuf,
    inactive: &'static str,
}

/// A controller's folders, from the process's own group upward.
struct Hierarchy {
    folders: Vec<PathBuf>,
    version: Version,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// One cgroup mount of mountinfo.
struct Mount {
    /// The group that is visible at `point`.
    group: String,
    point: String,
    /// The controllers of a v1 mount; `None` for v2.
    controllers: Option<Vec<String>>,
}

/// Reads the limits of this process under `root` (`/` on the real machine).
pub(super) fn limits(root: &Path) -> CgroupLimits {
    let own = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mountinfo = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(mount).collect();
    let hierarchy = |controller: &str| hierarchy(root, &own, &mounts, controller);
    CgroupLimits {
        cpuset: hierarchy("cpuset").as_ref().and_then(cpuset),
        quota: hierarchy("cpu").as_ref().and_then(quota),
        memory: hierarchy("memory").as_ref().and_then(memory),
    }
}

impl CgroupMemory {
    /// Returns the bytes in use in the group: its charge without file pages that can be reclaimed
    /// immediately.
    pub(super) fn used(&self) -> Option<u64> {
        let charged = number::<u64>(&self.usage)?;
        let stat = fs::read_to_string(&self.stat).unwrap_or_default();
        Some(charged.saturating_sub(stat_line(&stat, self.inactive).unwrap_or(0)))
    }
}

fn stat_line(stat: &str, key: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Parses a line of mountinfo: `id parent dev group point options... - type source super-options`.
fn mount(line: &str) -> Option<Mount> {
    let (place, kind) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (group, point) = (unescape(place.next()?), unescape(place.next()?));
    let mut kind = kind.split(' ');
    let controllers = match kind.next()? {
        "cgroup2" => None,
        "cgroup" => Some(kind.nth(1)?.split(',').map(str::to_owned).collect()),
        _ => return None,
    };
    Some(Mount { group, point, controllers })
}

/// Decodes a field of mountinfo, which writes space, tab, newline and backslash as a backslash and
/// three octal digits.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (code, sign)| text.replace(code, sign))
}

/// Finds the folders of a controller for this process: in the v1 hierarchy of the controller, or else
/// in the v2 hierarchy.
fn hierarchy(root: &Path, own: &str, mounts: &[Mount], controller: &str) -> Option<Hierarchy> {
    let groups = || {
        own.lines().filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            Some((fields.next()?, fields.next()?))
        })
    };
    let v1 = groups().find(|(names, _)| names.split(',').any(|name| name == controller)).and_then(
        |(_, group)| {
            let carries = |mount: &&Mount| {
                mount.controllers.as_ref().is_some_and(|all| all.iter().any(|c| c == controller))
            };
            Some((mounts.iter().find(carries)?, group, Version::One))
        },
    );
    let (mount, group, version) = v1.or_else(|| {
        let (_, group) = groups().find(|(names, _)| names.is_empty())?;
        Some((mounts.iter().find(|mount| mount.controllers.is_none())?, group, Version::Two))
    })?;
    let top = root.join(mount.point.trim_start_matches('/'));
    // In a container without its own cgroup namespace, the group's path is the host's, and the mount
    // has that group (or one above it) at its top.
    let below = Path::new(group).strip_prefix(&mount.group).unwrap_or(Path::new(""));
    let below: PathBuf =
        below.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    let folders =
        below.ancestors().map(|part| top.join(part)).filter(|folder| folder.is_dir()).collect();
    Some(Hierarchy { folders, version })
}

/// Returns the effective CPUs of the nearest group that has a cpuset.
fn cpuset(hierarchy: &Hierarchy) -> Option<CpuSet> {
    let names: &[&str] = match hierarchy.version {
        Version::One => &["cpuset.effective_cpus", "cpuset.cpus"],
        Version::Two => &["cpuset.cpus.effective"],
    };
    hierarchy
        .folders
        .iter()
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find_map(|path| list(&path).filter(|set| !set.is_empty()))
}

/// Returns the lowest CPU quota, in CPUs.
fn quota(hierarchy: &Hierarchy) -> Option<f64> {
    let at = |folder: &PathBuf| -> Option<f64> {
        let (quota, period) = match hierarchy.version {
            Version::One => (
                number::<i64>(&folder.join("cpu.cfs_quota_us"))?,
                number::<i64>(&folder.join("cpu.cfs_period_us"))?,
            ),
            Version::Two => {
                let line = text(&folder.join("cpu.max"))?;
                let (quota, period) = line.split_once(' ')?;
                (quota.parse().ok()?, period.trim().parse().ok()?)
            }
        };
        (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
    };
    hierarchy.folders.iter().filter_map(at).min_by(f64::total_cmp)
}

/// Returns the lowest memory limit.
fn memory(hierarchy: &Hierarchy) -> Option<CgroupMemory> {
    let (limit, usage, inactive) = match hierarchy.version {
        Version::One => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        Version::Two => ("memory.max", "memory.current", "inactive_file"),
    };
    let at = |folder: &PathBuf| {
        let stat = folder.join("memory.stat");
        let own = number::<u64>(&folder.join(limit));
        // v1 publishes the limit of the hierarchy, including groups that a namespace hides.
        let above = (hierarchy.version == Version::One)
            .then(|| fs::read_to_string(&stat).ok())
            .flatten()
            .and_then(|stat| stat_line(&stat, "hierarchical_memory_limit"));
        let limit = own.into_iter().chain(above).min().filter(|limit| *limit < NO_LIMIT)?;
        Some(CgroupMemory { limit, usage: folder.join(usage), stat, inactive })
    };
    // From the top down, so that of equal limits the outermost group's use counts: it includes the
    // other groups that share the limit.
    hierarchy.folders.iter().rev().filter_map(at).min_by_key(|memory| memory.limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_mounts_with_optional_fields() {
        let line = "40 31 0:37 /a\\040b /sys/fs/cgroup/cpu rw shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct";
        let found = mount(line).unwrap();
        assert_eq!((found.group.as_str(), found.point.as_str()), ("/a b", "/sys/fs/cgroup/cpu"));
        assert_eq!(found.controllers.unwrap(), ["rw", "cpu", "cpuacct"]);
        assert!(mount("22 1 8:1 / / rw - ext4 /dev/sda1 rw").is_none());
        assert!(mount("not a mount").is_none());
    }

    #[test]
    fn missing_proc_means_no_limits() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(limits(empty.path()), CgroupLimits::default());
    }
}
