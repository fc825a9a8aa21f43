//! Tests on trees of files made after Linux' `Documentation/filesystems/resctrl.rst`: the info folders of an
//! Intel server (percent, 20-bit masks), an AMD server (absolute steps, 16-bit masks) and an Arm server.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{ResctrlMissing, ResctrlMonitor, RowMonitor};

/// A tree in a temporary folder.
struct Tree {
    root: tempfile::TempDir,
}

impl Tree {
    fn empty() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn intel() -> Self {
        Self::with(&[
            ("info/L3/num_closids", "16\n"),
            ("info/L3/cbm_mask", "fffff\n"),
            ("info/MB/bandwidth_gran", "10\n"),
            ("info/L3_MON/num_rmids", "176\n"),
            ("info/L3_MON/mon_features", "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes\n"),
        ])
    }

    fn amd() -> Self {
        Self::with(&[
            ("info/L3/cbm_mask", "ffff\n"),
            ("info/MB/bandwidth_gran", "1\n"),
            ("info/L3_MON/num_rmids", "256\n"),
            (
                "info/L3_MON/mon_features",
                "llc_occupancy\nmbm_total_bytes\nmbm_total_bytes_config\nmbm_local_bytes\n\
                 mbm_local_bytes_config\n",
            ),
        ])
    }

    /// Arm's MPAM may count only the occupancy.
    fn arm() -> Self {
        Self::with(&[
            ("info/L3_MON/num_rmids", "32\n"),
            ("info/L3_MON/mon_features", "llc_occupancy\n"),
        ])
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let tree = Self::empty();
        for (path, text) in files {
            tree.write(&format!("sys/fs/resctrl/{path}"), text);
        }
        fs::create_dir_all(tree.groups()).unwrap();
        tree
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn groups(&self) -> PathBuf {
        self.root.path().join("sys/fs/resctrl/mon_groups")
    }

    fn open(&self) -> Result<ResctrlMonitor, ResctrlMissing> {
        ResctrlMonitor::open(self.root.path())
    }

    /// Returns a row's monitor with these threads.
    fn row(&self, threads: &[i32]) -> RowMonitor {
        let mut row = self.open().unwrap().row("a/b \u{e4}");
        row.assign(threads, Instant::now());
        row
    }

    /// Returns the only group.
    fn group(&self) -> PathBuf {
        let groups: Vec<_> = fs::read_dir(self.groups()).unwrap().flatten().collect();
        assert_eq!(groups.len(), 1, "{groups:?}");
        groups[0].path()
    }

    fn tasks(&self) -> String {
        fs::read_to_string(self.group().join("tasks")).unwrap()
    }

    /// Writes what the kernel counts of the only group in a domain.
    fn count(&self, domain: &str, file: &str, text: &str) {
        let folder = self.group().join("mon_data").join(domain);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(file), text).unwrap();
    }

    fn missing(&self) -> ResctrlMissing {
        self.open().err().unwrap()
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn absent_resctrl_says_why() {
    let tree = Tree::empty();
    assert!(matches!(tree.missing(), ResctrlMissing::NoCpuSupport));
    tree.write("proc/cpuinfo", "processor: 0\nflags\t\t: fpu sse hypervisor\n");
    assert!(matches!(tree.missing(), ResctrlMissing::VirtualMachine));
    tree.write("proc/cpuinfo", "flags\t\t: fpu cqm_llc cqm_mbm_total rdt_a\n");
    assert!(matches!(tree.missing(), ResctrlMissing::NoKernelSupport));
    tree.write("proc/filesystems", "nodev\tsysfs\nnodev\tresctrl\n\text4\n");
    assert!(tree.missing().to_string().contains("mount -t resctrl resctrl /sys/fs/resctrl"));
}

#[test]
fn allocation_alone_monitors_nothing() {
    let tree = Tree::with(&[("info/L3/cbm_mask", "fffff\n")]);
    assert!(matches!(tree.missing(), ResctrlMissing::NoMonitoring));
}

#[test]
fn threads_are_assigned_once() {
    let tree = Tree::intel();
    let mut row = tree.row(&[11, 12]);
    assert_eq!(tree.tasks(), "11\n12\n");
    row.assign(&[12, 13], Instant::now());
    assert_eq!(tree.tasks(), "11\n12\n13\n");
    // a number that another thread has got
    row.assign(&[11, 12, 13], Instant::now());
    assert_eq!(tree.tasks(), "11\n12\n13\n11\n");
    let name = tree.group().file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(name, format!("divvy-{}-0-a_b__", std::process::id()));
}

#[test]
fn bandwidth_sums_domains() {
    let tree = Tree::intel();
    let mut row = tree.row(&[11]);
    let start = Instant::now();
    for (domain, bytes) in [("mon_L3_00", "1000"), ("mon_L3_01", "5000\n")] {
        tree.count(domain, "mbm_total_bytes", bytes);
        tree.count(domain, "mbm_local_bytes", "7");
        tree.count(domain, "llc_occupancy", "4096\n");
    }
    let view = row.read(start);
    assert_eq!((view.bytes_per_s, view.cache_bytes, view.missing), (None, Some(8192), None));
    tree.count("mon_L3_00", "mbm_total_bytes", "3000");
    tree.count("mon_L3_01", "mbm_total_bytes", "9000");
    // a part of a domain, with sub-NUMA clusters
    tree.count("mon_L3_00/mon_sub_L3_00", "mbm_total_bytes", "3000");
    assert_eq!(row.read(start + Duration::from_secs(2)).bytes_per_s, Some(3000.0));
}

#[test]
fn fallen_counter_gives_no_rate() {
    let tree = Tree::intel();
    let mut row = tree.row(&[11]);
    let start = Instant::now();
    let mut read = |second: u64, bytes: &str| {
        tree.count("mon_L3_00", "mbm_total_bytes", bytes);
        row.read(start + Duration::from_secs(second)).bytes_per_s
    };
    assert_eq!(read(0, "5000"), None);
    assert_eq!(read(1, "100"), None);
    assert_eq!(read(2, "600"), Some(500.0));
}

#[test]
fn unavailable_counter_is_named() {
    let tree = Tree::amd();
    let mut row = tree.row(&[11]);
    let start = Instant::now();
    let at = |second: u64| start + Duration::from_secs(second);
    tree.count("mon_L3_00", "mbm_total_bytes", "Unavailable\n");
    tree.count("mon_L3_00", "llc_occupancy", "Unavailable\n");
    let view = row.read(start);
    assert!(view.missing.as_ref().is_some_and(|it| it.contains("(Unavailable)")), "{view:?}");
    tree.count("mon_L3_00", "mbm_total_bytes", "100");
    assert_eq!(row.read(at(1)).bytes_per_s, None);
    tree.count("mon_L3_00", "mbm_total_bytes", "300");
    let view = row.read(at(2));
    assert_eq!((view.bytes_per_s, view.missing), (Some(200.0), None));
    tree.count("mon_L3_00", "mbm_total_bytes", "Unassigned");
    assert!(row.read(at(3)).missing.is_some_and(|it| it.contains("Unassigned")));
    // the counter of another event may have begun in between
    tree.count("mon_L3_00", "mbm_total_bytes", "900");
    assert_eq!(row.read(at(4)).bytes_per_s, None);
}

#[test]
fn arm_counts_only_the_cache() {
    let tree = Tree::arm();
    let mut row = tree.row(&[11]);
    tree.count("mon_L3_01", "llc_occupancy", "65536");
    tree.count("mon_L3_01", "mbm_total_bytes", "1");
    let view = row.read(Instant::now());
    assert_eq!((view.bytes_per_s, view.cache_bytes), (None, Some(65_536)));
    assert_eq!(view.missing, None);
}

#[test]
fn other_programs_groups_are_left() {
    let tree = Tree::intel();
    tree.write("proc/11/cpu_resctrl_groups", "res:gold\nmon:\n");
    tree.write("proc/12/cpu_resctrl_groups", "res:/\nmon:other\n");
    let mut row = tree.row(&[11, 12]);
    let view = row.read(Instant::now());
    assert!(view.missing.is_some_and(|it| it.contains("\"other\" of another program")));
    assert_eq!(fs::read_dir(tree.groups()).unwrap().count(), 0);
    tree.write("proc/13/cpu_resctrl_groups", "res:/\nmon:\n");
    row.assign(&[11, 12, 13], Instant::now() + Duration::from_secs(11));
    assert_eq!(tree.tasks(), "13\n");
}

#[test]
fn missing_permission_is_named() {
    // root may write everywhere
    if is_root() {
        return;
    }
    let tree = Tree::intel();
    set_writable(&tree.groups(), Writable::No);
    let view = tree.row(&[11]).read(Instant::now());
    set_writable(&tree.groups(), Writable::Yes);
    assert!(view.missing.is_some_and(|it| it.contains("run divvy as root")));
}

#[derive(Clone, Copy)]
enum Writable {
    Yes,
    No,
}

fn set_writable(path: &Path, writable: Writable) {
    use std::os::unix::fs::PermissionsExt;
    let mode = match writable {
        Writable::Yes => 0o755,
        Writable::No => 0o555,
    };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn group_ends_with_its_row() {
    let tree = Tree::intel();
    let row = tree.row(&[11]);
    // the kernel removes the files of a group with it
    fs::remove_file(tree.group().join("tasks")).unwrap();
    drop(row);
    assert_eq!(fs::read_dir(tree.groups()).unwrap().count(), 0);
}

#[test]
fn groups_of_ended_runs_are_removed() {
    let tree = Tree::intel();
    tree.write("proc/42/stat", "42");
    for name in ["divvy-41-0-a", "divvy-42-0-a", "other", "divvy-x"] {
        fs::create_dir(tree.groups().join(name)).unwrap();
    }
    tree.open().unwrap();
    let names = fs::read_dir(tree.groups()).unwrap().flatten().map(|group| group.file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["divvy-42-0-a", "divvy-x", "other"]);
}
