//! Limits set by cgroups: cpuset, CPU quota and memory limit, from cgroup v1, v2 or a mix. Reads below
//! any root folder, so that tests can use written trees.
//!
//! Limits apply at each level of the hierarchy, so quota and memory are the lowest ones from the
//! process's own group up to the topmost one in the mount. A cgroup namespace hides the groups above;
//! where the kernel publishes a limit for the whole hierarchy, that counts too.

use std::fs;
use std::path::{Path, PathBuf};

use super::sysfs::{list, number, text};
use crate::machine::CpuSet;
use crate::machine::cgroup_mounts::{CgroupMounts, CgroupVersion};

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
    version: CgroupVersion,
}

/// Reads the limits of this process under `root` (`/` on the real machine).
pub(super) fn limits(root: &Path) -> CgroupLimits {
    let own = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mounts = CgroupMounts::read(root);
    let hierarchy = |controller: &str| hierarchy(&own, &mounts, controller);
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

/// Finds the folders of a controller for this process: in the v1 hierarchy of the controller, or else
/// in the v2 hierarchy.
fn hierarchy(own: &str, mounts: &CgroupMounts, controller: &str) -> Option<Hierarchy> {
    let place = mounts.place(own, controller)?;
    let folders = place.folders().filter(|folder| folder.is_dir()).collect();
    Some(Hierarchy { folders, version: place.version })
}

/// Returns the effective CPUs of the nearest group that has a cpuset.
fn cpuset(hierarchy: &Hierarchy) -> Option<CpuSet> {
    let names: &[&str] = match hierarchy.version {
        CgroupVersion::One => &["cpuset.effective_cpus", "cpuset.cpus"],
        CgroupVersion::Two => &["cpuset.cpus.effective"],
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
            CgroupVersion::One => (
                number::<i64>(&folder.join("cpu.cfs_quota_us"))?,
                number::<i64>(&folder.join("cpu.cfs_period_us"))?,
            ),
            CgroupVersion::Two => {
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
        CgroupVersion::One => {
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        }
        CgroupVersion::Two => ("memory.max", "memory.current", "inactive_file"),
    };
    let at = |folder: &PathBuf| {
        let stat = folder.join("memory.stat");
        let own = number::<u64>(&folder.join(limit));
        // v1 publishes the limit of the hierarchy, including groups that a namespace hides.
        let above = (hierarchy.version == CgroupVersion::One)
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
    fn missing_proc_means_no_limits() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(limits(empty.path()), CgroupLimits::default());
    }
}
