//! Topology from sysfs: siblings, sockets, caches, nodes and core kinds. Reads below any root folder,
//! so that tests can use written trees.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::machine::{Core, CoreId, CoreKind, CpuListError, CpuSet, MAX_CORES, Topology};

/// The topology as read from sysfs.
pub(super) struct TopologyReading {
    /// All present CPUs, online or offline.
    pub topology: Topology,
    /// Messages about missing values and their substitutes.
    pub notes: Vec<String>,
}

/// The present and the online CPUs. A [`TopologyReading`] is valid while they do not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CpuPresence {
    pub present: CpuSet,
    pub online: CpuSet,
}

/// Reads the present and the online CPUs. If sysfs is hidden, `fallback` is used for both.
pub(super) fn cpu_presence(root: &Path, fallback: &CpuSet) -> CpuPresence {
    let cpu = root.join("sys/devices/system/cpu");
    let folders = || {
        let set: CpuSet = numbered(&cpu, "cpu").into_iter().map(|(id, _)| CoreId(id)).collect();
        Some(set).filter(|set| !set.is_empty())
    };
    let online = list(&cpu.join("online")).filter(|set| !set.is_empty());
    let present = list(&cpu.join("present"))
        .filter(|set| !set.is_empty())
        .or_else(folders)
        .or(online)
        .unwrap_or(*fallback);
    let online = online.unwrap_or(present);
    CpuPresence { present: present.union(&online), online }
}

/// Reads the topology of the CPUs in `presence`: about a dozen small files per CPU.
pub(super) fn topology(root: &Path, presence: &CpuPresence) -> TopologyReading {
    let system = root.join("sys/devices/system");
    let cpu = system.join("cpu");
    let mut notes = Vec::new();
    if list(&cpu.join("online")).is_none() {
        notes.push(
            "/sys/devices/system/cpu is hidden: sockets, caches and SMT siblings are unknown; \
             each CPU counts as a physical core"
                .to_owned(),
        );
    }
    if let Some(raw) = text(&cpu.join("present"))
        && let Err(CpuListError::TooLarge { .. }) = CpuSet::from_str(&raw)
    {
        notes.push(format!(
            "this machine has CPUs {raw}; divvy supports CPUs up to {} and ignores the others",
            MAX_CORES - 1
        ));
    }
    let nodes = nodes(&system.join("node"));
    let mut physical = GroupNumbers::default();
    let mut l2 = GroupNumbers::default();
    let mut l3 = GroupNumbers::default();
    let mut cores: Vec<Core> = presence
        .present
        .iter()
        .map(|id| {
            let folder = cpu.join(format!("cpu{id}"));
            let place = folder.join("topology");
            // An offline CPU has no topology folder and no caches, so it gets its own groups. The
            // kernel writes -1 or 65535 for a package that the firmware does not name.
            let package = number::<u16>(&place.join("physical_package_id")).unwrap_or(0);
            let lowest = siblings(&place).and_then(|set| set.lowest());
            let core_id = number::<u32>(&place.join("core_id"));
            let core = match (lowest, core_id) {
                (Some(lowest), _) => (0, u32::from(lowest.0)),
                (None, Some(core)) => (1 + u32::from(package), core),
                (None, None) => (0, u32::from(id.0)),
            };
            let (level2, level3) = caches(&folder.join("cache"));
            Core {
                id,
                physical: physical.number(core),
                package,
                node: nodes.iter().find(|(_, set)| set.contains(id)).map_or(0, |(node, _)| *node),
                l2: level2.map(|lowest| l2.number((0, u32::from(lowest.0)))),
                l3: level3.map(|lowest| l3.number((0, u32::from(lowest.0)))),
                kind: CoreKind::Uniform,
                capacity: number::<u16>(&folder.join("cpu_capacity")).filter(|value| *value > 0),
                online: presence.online.contains(id),
            }
        })
        .collect();
    mark_kinds(root, &mut cores);
    if !cores.is_empty() && cores.iter().all(|core| core.l3.is_none() && core.l2.is_none()) {
        notes.push("the kernel publishes no shared caches: placement ignores caches".to_owned());
    }
    TopologyReading { topology: Topology { cores }, notes }
}

/// Consecutive numbers for groups, in the order of their first CPU.
#[derive(Default)]
struct GroupNumbers(BTreeMap<(u32, u32), u32>);

impl GroupNumbers {
    fn number(&mut self, key: (u32, u32)) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(key).or_insert(next)
    }
}

/// Reads the logical CPUs of one physical core. Linux 5.4 renamed the file.
fn siblings(place: &Path) -> Option<CpuSet> {
    ["core_cpus_list", "thread_siblings_list"]
        .iter()
        .find_map(|name| list(&place.join(name)).filter(|set| !set.is_empty()))
}

/// Reads the lowest CPUs that share the level 2 and the level 3 data cache.
fn caches(folder: &Path) -> (Option<CoreId>, Option<CoreId>) {
    let mut found = (None, None);
    for (_, index) in numbered(folder, "index") {
        let slot = match number::<u8>(&index.join("level")) {
            Some(2) => &mut found.0,
            Some(3) => &mut found.1,
            _ => continue,
        };
        if text(&index.join("type")).is_some_and(|kind| kind == "Instruction") {
            continue;
        }
        *slot = list(&index.join("shared_cpu_list")).and_then(|set| set.lowest());
    }
    found
}

/// Reads the NUMA nodes that have CPUs.
fn nodes(folder: &Path) -> Vec<(u16, CpuSet)> {
    numbered(folder, "node")
        .into_iter()
        .filter_map(|(node, path)| Some((node, list(&path.join("cpulist"))?)))
        .collect()
}

/// Sets the core kinds, from the two core PMUs of Intel's hybrids, or else the kernel's relative
/// capacity, or else the maximum frequency.
fn mark_kinds(root: &Path, cores: &mut [Core]) {
    let pmu = |name: &str| list(&root.join("sys/devices").join(name).join("cpus"));
    if let (Some(fast), Some(slow)) = (pmu("cpu_core"), pmu("cpu_atom")) {
        let slow = pmu("cpu_lowpower").map_or(slow, |lowest| slow.union(&lowest));
        for core in cores.iter_mut() {
            if slow.contains(core.id) {
                core.kind = CoreKind::Efficiency;
            } else if fast.contains(core.id) {
                core.kind = CoreKind::Performance;
            }
        }
        return;
    }
    let capacities: BTreeMap<CoreId, u64> =
        cores.iter().filter_map(|core| Some((core.id, u64::from(core.capacity?)))).collect();
    // Capacity takes frequency into account, so frequencies are used only without it.
    let speeds = if capacities.is_empty() {
        let cpu = root.join("sys/devices/system/cpu");
        cores
            .iter()
            .filter_map(|core| {
                let path = cpu.join(format!("cpu{}/cpufreq/cpuinfo_max_freq", core.id));
                Some((core.id, number::<u64>(&path)?))
            })
            .collect()
    } else {
        capacities
    };
    let Some(slowest_fast) = slowest_fast_speed(speeds.values().copied().collect()) else {
        return;
    };
    for core in cores {
        if let Some(speed) = speeds.get(&core.id) {
            core.kind =
                if *speed >= slowest_fast { CoreKind::Performance } else { CoreKind::Efficiency };
        }
    }
}

/// Returns the speed of the slowest fast core, if the speeds form a fast and a slow kind: split at the
/// largest relative gap, which must be at least 30 %. Favoured cores of one kind differ by a few
/// percent, kinds of a hybrid by 40 % and more.
fn slowest_fast_speed(mut speeds: Vec<u64>) -> Option<u64> {
    speeds.sort_unstable();
    speeds.dedup();
    speeds
        .iter()
        .zip(speeds.iter().skip(1))
        .map(|(below, above)| (*above as f64 / (*below).max(1) as f64, *above))
        .filter(|(gap, _)| *gap >= 1.3)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, above)| above)
}

/// Returns the entries `PREFIXn` of a folder, by ascending n.
fn numbered(folder: &Path, prefix: &str) -> Vec<(u16, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<(u16, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let digits = name.to_str()?.strip_prefix(prefix)?;
            Some((digits.parse().ok()?, entry.path()))
        })
        .collect();
    found.sort_unstable();
    found
}

/// Reads a file and trims white space.
pub(super) fn text(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Reads a file with one number.
pub(super) fn number<T: FromStr>(path: &Path) -> Option<T> {
    text(path)?.parse().ok()
}

/// Reads a file with a CPU list. Omits CPUs from [`MAX_CORES`] on.
pub(super) fn list(path: &Path) -> Option<CpuSet> {
    parse_list(&text(path)?)
}

/// Parses a CPU list of the kernel. Omits CPUs from [`MAX_CORES`] on.
pub(super) fn parse_list(raw: &str) -> Option<CpuSet> {
    match raw.parse() {
        Ok(set) => Some(set),
        Err(CpuListError::TooLarge { .. }) => Some(supported_cpus(raw)),
        Err(_) => None,
    }
}

/// Parses a CPU list of the kernel (plain numbers and ranges), up to [`MAX_CORES`].
fn supported_cpus(raw: &str) -> CpuSet {
    raw.split(',')
        .filter_map(|part| {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            Some((low.parse::<usize>().ok()?, high.parse::<usize>().ok()?.min(MAX_CORES - 1)))
        })
        .flat_map(|(low, high)| low..=high)
        .map(|id| CoreId(id as u16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_kinds_at_the_largest_gap() {
        assert_eq!(slowest_fast_speed(vec![1024, 1024]), None);
        assert_eq!(slowest_fast_speed(vec![5_200_000, 5_000_000, 5_200_000]), None);
        assert_eq!(slowest_fast_speed(vec![250, 760, 1024, 250]), Some(760));
        assert_eq!(slowest_fast_speed(vec![1024, 446]), Some(1024));
        assert_eq!(slowest_fast_speed(Vec::new()), None);
    }

    #[test]
    fn omits_unsupported_cpus() {
        assert_eq!(supported_cpus("0-1,1020-1100,2000").to_string(), "0-1,1020-1023");
    }
}
