//! The means by which the weight of a row is enforced, or the reason why it cannot be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::group::{GroupReader, SchedulingGroup, manager_of};
use crate::machine::ProcessId;

/// The most processes that a refusal names.
const MOST_NAMED: usize = 3;

/// The scheduling group of divvy itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnGroup {
    pub(super) group: SchedulingGroup,
    /// The nice value of its group, if that is an autogroup.
    pub(super) group_nice: i32,
}

/// The means of one part of a row's processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WeightMeans {
    /// The nice value of each thread: the processes are in divvy's group.
    Threads(Vec<ProcessId>),
    /// The nice value of each thread: the processes are in the root group, and compete with divvy's group as
    /// a whole.
    RootThreads(Vec<ProcessId>),
    /// The nice value of an autogroup, written through one of its processes.
    Autogroup {
        /// The number of the autogroup.
        id: u64,
        /// A process in it.
        process: ProcessId,
    },
    /// The weight of a cgroup that divvy made.
    OwnCgroup {
        /// Its path.
        path: String,
        /// Its folder.
        folder: PathBuf,
    },
}

/// The means for all processes of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::process) struct WeightPlan {
    pub(super) means: Vec<WeightMeans>,
}

/// The surroundings of a plan.
pub(super) struct PlanContext<'a> {
    pub(super) reader: &'a GroupReader,
    pub(super) own: &'a OwnGroup,
    /// The folder of the cgroups that divvy made, if it made any.
    pub(super) own_cgroups: Option<&'a Path>,
    /// Returns the numbers of the processes of an autogroup.
    pub(super) autogroup_pids: &'a dyn Fn(u64) -> Vec<i32>,
}

impl OwnGroup {
    /// Reads the group of the process with this number.
    pub(super) fn read(reader: &GroupReader, pid: i32) -> Self {
        let group = reader.group(pid).unwrap_or(SchedulingGroup::Root);
        let group_nice = match group {
            SchedulingGroup::Autogroup(_) => reader.autogroup(pid).map_or(0, |group| group.nice),
            _ => 0,
        };
        Self { group, group_nice }
    }
}

impl WeightPlan {
    /// Plans the means for the processes of a row.
    ///
    /// # Errors
    /// The reason why no weight can be enforced.
    pub(super) fn new(context: &PlanContext<'_>, members: &[ProcessId]) -> Result<Self, String> {
        let PlanContext { reader, own, own_cgroups, .. } = *context;
        let mut parts: BTreeMap<SchedulingGroup, Vec<ProcessId>> = BTreeMap::new();
        for member in members {
            // a process that has just ended has no group
            if let Some(group) = reader.group(member.pid) {
                parts.entry(group).or_default().push(*member);
            }
        }
        let pids: BTreeSet<i32> = members.iter().map(|member| member.pid).collect();
        let mut means = Vec::new();
        for (group, part) in parts {
            let made_by_divvy =
                |folder: &PathBuf| own_cgroups.is_some_and(|own| folder.starts_with(own));
            means.push(match group {
                SchedulingGroup::Cgroup { path, folder: Some(folder) } if made_by_divvy(&folder) => {
                    WeightMeans::OwnCgroup { path, folder }
                }
                group if group == own.group => WeightMeans::Threads(part),
                SchedulingGroup::Cgroup { path, .. } => {
                    let (manager, remedy) = manager_of(&path);
                    return Err(format!("in {path}, which {manager} manages: {remedy}"));
                }
                group => {
                    if let SchedulingGroup::Cgroup { path, .. } = &own.group {
                        return Err(format!(
                            "divvy is in cgroup {path} and it is not, so their weights do not compare: \
                             start both in one cgroup"
                        ));
                    }
                    match (group, part.first()) {
                        (SchedulingGroup::Autogroup(id), Some(process)) => {
                            require_alone(context, id, &pids)?;
                            WeightMeans::Autogroup { id, process: *process }
                        }
                        _ => WeightMeans::RootThreads(part),
                    }
                }
            });
        }
        Ok(Self { means })
    }

    /// Returns the means in words: "nice value of autogroup 214". Empty if there is no process.
    pub(super) fn description(&self) -> String {
        let mut texts: Vec<String> = Vec::new();
        for means in &self.means {
            let text = match means {
                WeightMeans::Threads(_) => "nice value of each thread".to_owned(),
                WeightMeans::RootThreads(_) => {
                    "nice value of each thread in the root group".to_owned()
                }
                WeightMeans::Autogroup { id, .. } => format!("nice value of autogroup {id}"),
                WeightMeans::OwnCgroup { path, folder } => {
                    if folder.join("cpu.shares").is_file() {
                        format!("cpu.shares of cgroup {path}")
                    } else {
                        format!("cpu.weight of cgroup {path} (v2: not tried on a kernel)")
                    }
                }
            };
            texts.push(text);
        }
        if texts.len() > MOST_NAMED {
            let rest = texts.split_off(MOST_NAMED).len();
            texts.push(format!("{rest} more"));
        }
        texts.join(", ")
    }
}

/// Refuses an autogroup that has processes besides these.
fn require_alone(
    context: &PlanContext<'_>,
    id: u64,
    members: &BTreeSet<i32>,
) -> Result<(), String> {
    let mut pids = (context.autogroup_pids)(id);
    pids.retain(|pid| !members.contains(pid));
    let others: Vec<String> = context
        .reader
        .live_processes(id, &pids)
        .iter()
        .map(|process| format!("{} ({})", process.name, process.id.pid))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    let named = others.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    let rest = match others.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    Err(format!(
        "shares autogroup {id} with {named}{rest}: start it in a session of its own (setsid)"
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::group::tests::{V1, V2, write_mounts, write_process};
    use super::*;

    fn id(pid: i32) -> ProcessId {
        ProcessId { pid, start_ticks: 0 }
    }

    /// Plans for these processes; divvy is process 1.
    fn plan(root: &Path, members: &[i32]) -> Result<WeightPlan, String> {
        let reader = GroupReader::new(root);
        let own = OwnGroup::read(&reader, 1);
        let members: Vec<ProcessId> = members.iter().map(|pid| id(*pid)).collect();
        let context = PlanContext {
            reader: &reader,
            own: &own,
            own_cgroups: Some(&root.join("cg/divvy-1")),
            autogroup_pids: &|id| reader.autogroup_pids().remove(&id).unwrap_or_default(),
        };
        WeightPlan::new(&context, &members)
    }

    #[test]
    fn own_group_uses_thread_nice() {
        let root = tempfile::tempdir().unwrap();
        write_mounts(root.path(), V1);
        write_process(root.path(), 1, "1:cpu:/\n", "/autogroup-3 nice 0\n");
        write_process(root.path(), 5, "1:cpu:/\n", "/autogroup-3 nice 0\n");
        let plan = plan(root.path(), &[5, 99]).unwrap();
        assert_eq!(plan.means, [WeightMeans::Threads(vec![id(5)])], "99 has ended");
    }

    #[test]
    fn shared_autogroup_names_three_others() {
        let root = tempfile::tempdir().unwrap();
        write_mounts(root.path(), V1);
        write_process(root.path(), 1, "1:cpu:/\n", "/autogroup-3 nice 0\n");
        for pid in [5, 6, 7, 8, 9, 10] {
            write_process(root.path(), pid, "1:cpu:/\n", "/autogroup-4 nice 0\n");
        }
        let refusal = plan(root.path(), &[5]).unwrap_err();
        let expected = "shares autogroup 4 with p6 (6), p7 (7), p8 (8) and 2 more: start it in a \
                        session of its own (setsid)";
        assert_eq!(refusal, expected);
        let whole = plan(root.path(), &[5, 6, 7, 8, 9, 10]).unwrap();
        assert_eq!(whole.means, [WeightMeans::Autogroup { id: 4, process: id(5) }]);
        assert_eq!(whole.description(), "nice value of autogroup 4");
    }

    #[test]
    fn foreign_cgroup_names_its_manager() {
        let root = tempfile::tempdir().unwrap();
        write_mounts(root.path(), V1);
        write_process(root.path(), 1, "1:cpu:/\n", "");
        write_process(root.path(), 5, "1:cpu:/system.slice/ollama.service\n", "");
        let refusal = plan(root.path(), &[5]).unwrap_err();
        assert_eq!(
            refusal,
            "in /system.slice/ollama.service, which systemd manages: set CPUWeight there"
        );
    }

    #[test]
    fn other_cgroup_than_divvys_does_not_compare() {
        let root = tempfile::tempdir().unwrap();
        write_mounts(root.path(), V1);
        write_process(root.path(), 1, "1:cpu:/mine\n", "");
        write_process(root.path(), 5, "1:cpu:/\n", "/autogroup-4 nice 0\n");
        assert!(plan(root.path(), &[5]).unwrap_err().starts_with("divvy is in cgroup /mine"));
        write_process(root.path(), 6, "1:cpu:/mine\n", "");
        assert_eq!(plan(root.path(), &[6]).unwrap().description(), "nice value of each thread");
    }

    #[test]
    fn own_cgroup_uses_its_weight() {
        let root = tempfile::tempdir().unwrap();
        write_mounts(root.path(), V2);
        let folder = root.path().join("cg/divvy-1/row");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cpu.weight"), "100\n").unwrap();
        write_process(root.path(), 1, "0::/\n", "");
        write_process(root.path(), 5, "0::/divvy-1/row\n", "");
        let plan = plan(root.path(), &[5]).unwrap();
        assert_eq!(
            plan.description(),
            "cpu.weight of cgroup /divvy-1/row (v2: not tried on a kernel)"
        );
    }
}
