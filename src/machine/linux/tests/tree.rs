//! Written trees of `/sys` and `/proc` that describe test machines.

use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A root folder with the files of one machine.
pub(super) struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    /// An empty tree, as if sysfs were hidden.
    pub(super) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// `cpus` CPUs without SMT in one socket, whose level 3 caches span `span` CPUs each.
    pub(super) fn new(cpus: usize, span: usize) -> Self {
        let tree = Self::empty();
        tree.write_cpus(cpus);
        for id in 0..cpus {
            let own = id.to_string();
            tree.cpu(id, 0, id, &own);
            tree.cache(id, 2, &own);
            let first = id / span * span;
            tree.cache(id, 3, &format!("{first}-{}", first + span - 1));
        }
        tree.node(0, &format!("0-{}", cpus - 1));
        tree
    }

    pub(super) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file; the kernel ends each with a newline.
    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    /// Writes the present and online CPUs, all of them allowed for the process.
    fn write_cpus(&self, cpus: usize) {
        let list = format!("0-{}", cpus - 1);
        self.write("sys/devices/system/cpu/present", &list);
        self.write("sys/devices/system/cpu/online", &list);
        self.mask(&list);
    }

    /// Writes the mask of the process's main thread.
    pub(super) fn mask(&self, list: &str) {
        self.write("proc/self/status", &format!("Name:\tdivvy\nCpus_allowed_list:\t{list}"));
    }

    fn cpu(&self, id: usize, package: usize, core_id: usize, siblings: &str) {
        let place = format!("sys/devices/system/cpu/cpu{id}/topology");
        self.write(&format!("{place}/physical_package_id"), &package.to_string());
        self.write(&format!("{place}/core_id"), &core_id.to_string());
        self.write(&format!("{place}/thread_siblings_list"), siblings);
    }

    fn cache(&self, id: usize, level: usize, shared: &str) {
        let index = format!("sys/devices/system/cpu/cpu{id}/cache/index{level}");
        self.write(&format!("{index}/level"), &level.to_string());
        self.write(&format!("{index}/type"), "Unified");
        self.write(&format!("{index}/shared_cpu_list"), shared);
    }

    fn node(&self, node: usize, list: &str) {
        self.write(&format!("sys/devices/system/node/node{node}/cpulist"), list);
    }

    /// Takes a CPU offline as the kernel does: removes its topology and caches.
    pub(super) fn take_offline(&self, id: usize, online: &str) {
        let cpu = self.root().join(format!("sys/devices/system/cpu/cpu{id}"));
        fs::remove_dir_all(cpu.join("topology")).unwrap();
        fs::remove_dir_all(cpu.join("cache")).unwrap();
        self.write("sys/devices/system/cpu/online", online);
    }

    /// Puts the process into a group of a v2 hierarchy.
    fn unified(&self, group: &str) {
        self.write("proc/self/cgroup", &format!("0::{group}"));
        self.write(
            "proc/self/mountinfo",
            "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
             31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate",
        );
    }
}

pub(super) fn two_core_vm() -> Tree {
    let tree = Tree::new(2, 2);
    tree.unified("/user.slice");
    tree
}

/// 2 sockets of 48 cores with SMT, siblings 96 apart, one level 3 cache per 8 cores, one node per
/// socket. Each socket numbers its cores from 0.
pub(super) fn two_socket_server() -> Tree {
    let tree = Tree::empty();
    tree.write_cpus(192);
    for id in 0..192 {
        let core = id % 96;
        let siblings = format!("{core},{}", core + 96);
        tree.cpu(id, core / 48, core % 48, &siblings);
        tree.cache(id, 2, &siblings);
        let first = core / 8 * 8;
        let shared = format!("{first}-{},{}-{}", first + 7, first + 96, first + 103);
        tree.cache(id, 3, &shared);
    }
    tree.node(0, "0-47,96-143");
    tree.node(1, "48-95,144-191");
    tree
}

/// 6 fast cores with SMT (CPUs 0 to 11) and 8 slow ones (12 to 19) that share level 2 in fours.
pub(super) fn hybrid_laptop() -> Tree {
    let tree = Tree::empty();
    tree.write_cpus(20);
    for id in 0..20 {
        let (siblings, l2) = if id < 12 {
            let first = id / 2 * 2;
            let pair = format!("{first}-{}", first + 1);
            (pair.clone(), pair)
        } else {
            let first = id / 4 * 4;
            (id.to_string(), format!("{first}-{}", first + 3))
        };
        // The numbers have gaps, as on real machines.
        tree.cpu(id, 0, if id < 12 { id / 2 * 4 } else { 12 + id }, &siblings);
        tree.cache(id, 2, &l2);
        tree.cache(id, 3, "0-19");
    }
    tree.node(0, "0-19");
    tree.write("sys/devices/cpu_core/cpus", "0-11");
    tree.write("sys/devices/cpu_atom/cpus", "12-19");
    tree
}

/// 64 CPUs, and a container limited to 2.5 CPUs and 8 GiB, three groups deep.
pub(super) fn quota_container() -> Tree {
    let tree = Tree::new(64, 16);
    tree.unified("/kubepods/pod/app");
    for (group, cpu, memory) in [
        ("kubepods", "6000000 100000", "max".to_owned()),
        ("kubepods/pod", "max 100000", (16_u64 << 30).to_string()),
        ("kubepods/pod/app", "250000 100000", (8_u64 << 30).to_string()),
    ] {
        tree.write(&format!("sys/fs/cgroup/{group}/cpu.max"), cpu);
        tree.write(&format!("sys/fs/cgroup/{group}/memory.max"), &memory);
    }
    // Only the upper group has the cpuset controller.
    tree.write("sys/fs/cgroup/kubepods/cpuset.cpus.effective", "0-63");
    tree
}

/// 8 CPUs, and a container of cgroup v1 without its own namespace: each mount has its group at the
/// top.
pub(super) fn v1_container() -> Tree {
    let tree = Tree::new(8, 8);
    tree.write(
        "proc/self/cgroup",
        "9:name=systemd:/docker/abc\n4:memory:/docker/abc\n3:cpuset:/docker/abc\n\
         2:cpu,cpuacct:/docker/abc\n0::/",
    );
    let mut mounts = String::new();
    for (controllers, folder) in
        [("memory", "memory"), ("cpuset", "cpuset"), ("cpu,cpuacct", "cpu,cpuacct")]
    {
        writeln!(
            mounts,
            "32 31 0:29 /docker/abc /sys/fs/cgroup/{folder} ro,nosuid master:9 - cgroup cgroup rw,{controllers}"
        )
        .unwrap();
    }
    mounts.push_str("41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw");
    tree.write("proc/self/mountinfo", &mounts);
    tree.write("sys/fs/cgroup/cpuset/cpuset.cpus", "0-7");
    tree.write("sys/fs/cgroup/cpuset/cpuset.effective_cpus", "4-7");
    tree.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000");
    tree.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000");
    tree.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
    tree.write("sys/fs/cgroup/memory/memory.usage_in_bytes", &(1_u64 << 30).to_string());
    tree.write(
        "sys/fs/cgroup/memory/memory.stat",
        &format!(
            "inactive_file 1\nhierarchical_memory_limit {}\ntotal_inactive_file 4096",
            2_u64 << 30
        ),
    );
    tree
}
