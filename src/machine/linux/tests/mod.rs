//! Tests of the Linux machine, on written trees and on the running kernel.

mod real;
mod tree;

use super::LinuxMachine;
use crate::machine::{Core, CoreId, CoreKind, CpuSet, Description, Limits, Machine};
use tree::{Tree, hybrid_laptop, quota_container, two_core_vm, two_socket_server, v1_container};

/// Returns the machines of these tests, for the tests of the machine map.
pub(crate) fn examples() -> Vec<(&'static str, Description)> {
    let unplugged = Tree::new(4, 4);
    unplugged.take_offline(2, "0-1,3");
    let part = LinuxMachine::at(hybrid_laptop().root()).restricted(set("1-3,12-15")).describe();
    vec![
        ("one_core", describe(&Tree::new(1, 1))),
        ("two_core_vm", describe(&two_core_vm())),
        ("two_socket_server", describe(&two_socket_server())),
        ("hybrid_laptop", describe(&hybrid_laptop())),
        ("part_of_a_laptop", part),
        ("quota_container", describe(&quota_container())),
        ("unplugged_cpu", describe(&unplugged)),
        ("v1_container", describe(&v1_container())),
    ]
}

fn describe(tree: &Tree) -> Description {
    LinuxMachine::at(tree.root()).describe()
}

fn set(list: &str) -> CpuSet {
    list.parse().unwrap()
}

fn core(description: &Description, id: u16) -> &Core {
    description.topology.core(CoreId(id)).unwrap()
}

#[test]
fn reads_two_core_vm() {
    let description = describe(&two_core_vm());
    assert_eq!(description.topology.cores.len(), 2);
    assert_eq!(
        description.limits,
        Limits { allowed: set("0-1"), quota: None, memory: None, installed: None }
    );
    assert_eq!(description.topology.siblings(CoreId(0)), set("0"));
    assert!(description.topology.cores.iter().all(|core| core.kind == CoreKind::Uniform));
    assert!(!description.simulated);
    assert_eq!(description.notes, Vec::<String>::new());
}

#[test]
fn core_numbers_repeat_per_socket() {
    let description = describe(&two_socket_server());
    let topology = &description.topology;
    assert_eq!(topology.cores.len(), 192);
    let distinct = |key: fn(&Core) -> u32| {
        topology.cores.iter().map(key).collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!(distinct(|core| core.physical), 96);
    assert_eq!(distinct(|core| core.l2.unwrap()), 96);
    assert_eq!(distinct(|core| core.l3.unwrap()), 12);
    assert_eq!(distinct(|core| u32::from(core.package)), 2);
    assert_eq!(distinct(|core| u32::from(core.node)), 2);
    assert_eq!(topology.siblings(CoreId(50)), set("50,146"));
    assert_eq!((core(&description, 146).package, core(&description, 146).node), (1, 1));
    assert_eq!(core(&description, 47).l3, core(&description, 143).l3);
    assert_ne!(core(&description, 47).l3, core(&description, 48).l3);
}

#[test]
fn reads_hybrid_core_kinds_from_pmus() {
    let description = describe(&hybrid_laptop());
    let kinds = |kind| {
        let cores = description.topology.cores.iter().filter(|core| core.kind == kind);
        cores.map(|core| core.id).collect::<CpuSet>()
    };
    assert_eq!(kinds(CoreKind::Performance), set("0-11"));
    assert_eq!(kinds(CoreKind::Efficiency), set("12-19"));
    assert_eq!(description.topology.siblings(CoreId(3)), set("2-3"));
    assert_eq!(core(&description, 12).l2, core(&description, 15).l2, "slow cores share in fours");
    assert_ne!(core(&description, 15).l2, core(&description, 16).l2);
}

#[test]
fn core_kinds_prefer_capacity_to_frequency() {
    let by_capacity = Tree::new(8, 8);
    for id in 0..8 {
        by_capacity.write(
            &format!("sys/devices/system/cpu/cpu{id}/cpu_capacity"),
            if id < 4 { "446" } else { "1024" },
        );
        // Frequencies that contradict the capacities.
        let frequency = if id < 4 { "3000000" } else { "1000000" };
        by_capacity
            .write(&format!("sys/devices/system/cpu/cpu{id}/cpufreq/cpuinfo_max_freq"), frequency);
    }
    let description = describe(&by_capacity);
    assert_eq!(core(&description, 0).kind, CoreKind::Efficiency);
    assert_eq!(core(&description, 7).kind, CoreKind::Performance);
    assert_eq!(core(&description, 0).capacity, Some(446));

    let by_frequency = Tree::new(4, 4);
    let favoured = Tree::new(4, 4);
    for id in 0..4 {
        let path = format!("sys/devices/system/cpu/cpu{id}/cpufreq/cpuinfo_max_freq");
        by_frequency.write(&path, if id < 2 { "5100000" } else { "3300000" });
        favoured.write(&path, if id < 2 { "5200000" } else { "5000000" });
    }
    assert_eq!(core(&describe(&by_frequency), 3).kind, CoreKind::Efficiency);
    assert_eq!(core(&describe(&by_frequency), 0).kind, CoreKind::Performance);
    assert_eq!(core(&describe(&favoured), 3).kind, CoreKind::Uniform);
}

#[test]
fn container_limits_are_the_lowest_of_all_levels() {
    let tree = quota_container();
    let description = describe(&tree);
    assert_eq!(description.topology.cores.len(), 64);
    assert_eq!(description.limits.allowed, set("0-63"));
    assert_eq!(description.limits.quota, Some(2.5));
    assert_eq!(description.limits.memory, Some(8 << 30));

    // A lower limit of an ancestor applies.
    tree.write("sys/fs/cgroup/kubepods/cpu.max", "150000 100000");
    tree.write("sys/fs/cgroup/kubepods/memory.max", &(4_u64 << 30).to_string());
    let description = describe(&tree);
    assert_eq!(description.limits.quota, Some(1.5));
    assert_eq!(description.limits.memory, Some(4 << 30));
}

#[test]
fn reads_own_group_in_a_cgroup_namespace() {
    let tree = Tree::new(8, 8);
    tree.write("proc/self/cgroup", "0::/");
    // Inside the namespace, the mount's group may be a path that leads up.
    tree.write(
        "proc/self/mountinfo",
        "31 23 0:28 /../../docker/abc /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n",
    );
    tree.write("sys/fs/cgroup/cpuset.cpus.effective", "2-5");
    tree.write("sys/fs/cgroup/cpu.max", "200000 50000");
    let description = describe(&tree);
    assert_eq!(description.limits.allowed, set("2-5"));
    assert_eq!(description.limits.quota, Some(4.0));
}

#[test]
fn reads_each_cgroup_v1_controller() {
    let tree = v1_container();
    let description = describe(&tree);
    assert_eq!(description.limits.allowed, set("4-7"));
    assert_eq!(description.limits.quota, Some(1.5));
    assert_eq!(
        description.limits.memory,
        Some(2 << 30),
        "the limit of the hierarchy, not of the group"
    );

    let memory = LinuxMachine::at(tree.root()).memory();
    assert_eq!((memory.total, memory.used), (2 << 30, (1 << 30) - 4096));
    assert!(memory.process > 0);
}

#[test]
fn inactive_file_pages_are_not_used_memory() {
    let tree = quota_container();
    let group = "sys/fs/cgroup/kubepods/pod/app";
    tree.write(&format!("{group}/memory.max"), &(64_u64 << 20).to_string());
    tree.write(&format!("{group}/memory.current"), "5000");
    tree.write(&format!("{group}/memory.stat"), "anon 4000\ninactive_file 1000\n");
    let memory = LinuxMachine::at(tree.root()).memory();
    assert_eq!((memory.total, memory.used), (64 << 20, 4000));
}

#[test]
fn reads_no_limit() {
    let tree = two_core_vm();
    tree.write("sys/fs/cgroup/cpu.max", "max 100000");
    tree.write("sys/fs/cgroup/memory.max", "max");
    assert_eq!(
        describe(&tree).limits,
        Limits { allowed: set("0-1"), quota: None, memory: None, installed: None }
    );
    let tree = v1_container();
    tree.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1");
    tree.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
    tree.write(
        "sys/fs/cgroup/memory/memory.stat",
        "hierarchical_memory_limit 9223372036854771712\n",
    );
    let limits = describe(&tree).limits;
    assert_eq!((limits.quota, limits.memory), (None, None));
}

#[test]
fn offline_cpus_are_not_allowed() {
    let tree = Tree::new(4, 4);
    let machine = LinuxMachine::at(tree.root());
    assert_eq!(machine.describe().limits.allowed, set("0-3"));
    tree.take_offline(2, "0-1,3");
    let description = machine.describe();
    assert_eq!(description.topology.cores.len(), 4);
    assert!(!core(&description, 2).online);
    assert_eq!(description.limits.allowed, set("0-1,3"));
    let physical: CpuSet = description.topology.siblings(CoreId(2));
    assert_eq!(physical, set("2"), "its siblings are unknown");
    tree.write("sys/devices/system/cpu/online", "0-3");
    assert_eq!(machine.describe().limits.allowed, set("0-3"), "online again, it is allowed");
}

#[test]
fn startup_mask_restricts_only_if_partial() {
    let tree = Tree::new(8, 8);
    tree.write("proc/self/cgroup", "0::/");
    tree.write("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
    let cpuset = |list: &str| tree.write("sys/fs/cgroup/cpuset.cpus.effective", list);
    cpuset("0-3");
    tree.mask("0-3");
    let free = LinuxMachine::at(tree.root());
    tree.mask("2-3");
    let bound = LinuxMachine::at(tree.root());
    // Later changes of the mask do not count.
    tree.mask("1");
    let allowed = |machine: &LinuxMachine| machine.describe().limits.allowed;
    assert_eq!((allowed(&free), allowed(&bound)), (set("0-3"), set("2-3")));
    cpuset("0-7");
    assert_eq!((allowed(&free), allowed(&bound)), (set("0-7"), set("2-3")));
    cpuset("3-4");
    assert_eq!((allowed(&free), allowed(&bound)), (set("3-4"), set("3")));
    cpuset("6-7");
    assert_eq!((allowed(&free), allowed(&bound)), (set("6-7"), set("6-7")));
    assert!(bound.describe().notes.iter().any(|note| note.contains("2-3")));
}

#[test]
fn cores_option_applies_with_no_core_left() {
    let tree = Tree::new(4, 4);
    let machine = LinuxMachine::at(tree.root()).restricted(set("2-3"));
    assert_eq!(machine.describe().limits.allowed, set("2-3"));
    tree.write("sys/devices/system/cpu/online", "0-1");
    let description = machine.describe();
    assert_eq!(description.limits.allowed, CpuSet::EMPTY);
    assert!(description.notes.iter().any(|note| note.contains("--cores")));
}

#[test]
fn uses_process_mask_without_sysfs() {
    let tree = Tree::empty();
    tree.mask("1-2");
    let description = describe(&tree);
    assert_eq!(description.limits.allowed, set("1-2"));
    assert_eq!(description.topology.online(), set("1-2"));
    assert!(description.notes.iter().any(|note| note.contains("hidden")));
}
