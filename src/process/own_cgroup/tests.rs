//! Tests of divvy's own cgroups: v1 on the kernel, v2 on a written tree.
//!
//! The tree follows `Documentation/admin-guide/cgroup-v2.rst` of Linux 6.12 ("Core Interface Files", "No
//! Internal Process Constraint", "Memory Interface Files").

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{OwnCgroups, run_name};

/// The memory limit of the test, in bytes.
const LIMIT: u64 = 48 << 20;

/// The groups of this test on the kernel; `None` if it has no v1 hierarchy that this user may write.
fn v1_groups(test: &str) -> Option<OwnCgroups> {
    let run = format!("test-{}-{test}", std::process::id());
    let found = OwnCgroups::detect(Path::new("/"), &run);
    let is_v1 = |groups: &OwnCgroups| !groups.base.join("cgroup.controllers").exists();
    let may_write = |groups: &OwnCgroups| {
        let probe = groups.base.join(format!("divvy-probe-{run}"));
        fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe)).is_ok()
    };
    let groups = found.ok().filter(is_v1).filter(may_write);
    if groups.is_none() {
        eprintln!("skipped: this user can make no v1 cgroup here");
    }
    groups
}

/// A Python program that runs `code` after it got a line.
fn waiting_python(code: &str) -> Child {
    let code = format!("import sys\nsys.stdin.readline()\n{code}");
    let mut command = Command::new("python3");
    command.args(["-c", &code]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

fn go(child: &mut Child) {
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
}

#[test]
fn v1_memory_limit_holds() {
    let Some(mut groups) = v1_groups("memory") else { return };
    let group = groups.make("a row/1", &BTreeSet::new()).unwrap();
    assert!(group.memory_means().ends_with("-memory/1-a_row_1"), "{}", group.memory_means());
    let mut child = waiting_python("held = bytearray(1 << 20) * 256\nprint(len(held))");
    let pid = child.id() as i32;
    assert!(!group.has(pid));
    group.take_in(pid).unwrap();
    assert!(group.has(pid));
    group.set_memory(Some(LIMIT)).unwrap();
    go(&mut child);
    let status = child.wait().unwrap();
    let number = |name: &str| -> u64 {
        fs::read_to_string(group.folder.join(name)).unwrap().trim().parse().unwrap()
    };
    // without swap space the kernel ends the process
    let has_swap = fs::read_to_string("/proc/swaps").unwrap().lines().count() > 1;
    assert!(has_swap || !status.success(), "{status}");
    assert!(number("memory.failcnt") > 0);
    assert!(number("memory.max_usage_in_bytes") <= LIMIT);
    group.set_memory(None).unwrap();
    assert!(number("memory.limit_in_bytes") > 1 << 60);
    assert_eq!(group.take_in(pid), Ok(()), "an ended process is no error");
    assert_eq!(groups.remove(), [""; 0]);
    assert!(!groups.folder().exists());
}

#[test]
fn v1_leftovers_of_ended_runs_are_removed() {
    let Some(groups) = v1_groups("leftovers") else { return };
    // a start in the future: no process has that name
    let [ended, running] = [1_u64, 2].map(|number| {
        let name = run_name(std::process::id() as i32, u64::MAX - number);
        let folder = groups.base.join(format!("divvy-{name}"));
        fs::create_dir_all(folder.join("1-row")).unwrap();
        (name, folder)
    });
    let others = |name: &str| name != ended.0;
    groups.remove_leftovers(others);
    assert!(!ended.1.exists() && running.1.exists());
    groups.remove_leftovers(|name| name != running.0);
    assert!(!running.1.exists());
}

/// Writes a v2 hierarchy whose only visible group has these processes.
fn v2_tree(root: &Path, path: &str, procs: &str) {
    fs::create_dir_all(root.join("proc/self")).unwrap();
    let line = "29 22 0:26 / /cg rw - cgroup2 cgroup2 rw\n";
    fs::write(root.join("proc/self/mountinfo"), line).unwrap();
    fs::write(root.join("proc/self/cgroup"), format!("0::{path}\n")).unwrap();
    let group = root.join("cg").join(path.trim_start_matches('/'));
    fs::create_dir_all(&group).unwrap();
    fs::write(group.join("cgroup.type"), "domain\n").unwrap();
    fs::write(group.join("cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();
    fs::write(group.join("cgroup.subtree_control"), "").unwrap();
    fs::write(group.join("cgroup.procs"), procs).unwrap();
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn v2_moves_divvy_before_enabling() {
    let root = tempfile::tempdir().unwrap();
    v2_tree(root.path(), "/", "41\n42\n");
    let mut groups = OwnCgroups::detect(root.path(), "41-7").unwrap();
    let group = groups.make("web", &BTreeSet::from([41, 42])).unwrap();
    let base = root.path().join("cg");
    // a written file keeps only the last number
    assert_eq!(text(&base.join("divvy-41-7/divvy/cgroup.procs")), "42");
    assert_eq!(text(&base.join("cgroup.subtree_control")), "+memory");
    assert_eq!(text(&base.join("divvy-41-7/cgroup.subtree_control")), "+memory");
    group.take_in(43).unwrap();
    group.set_memory(Some(1 << 30)).unwrap();
    let row = base.join("divvy-41-7/1-web");
    assert_eq!(text(&row.join("cgroup.procs")), "43");
    assert_eq!(text(&row.join("memory.high")), "1073741824");
    group.set_memory(None).unwrap();
    assert_eq!(text(&row.join("memory.high")), "max");
    assert_eq!(
        group.memory_means(),
        "memory.high of cgroup /divvy-41-7/1-web (v2: not tried on a kernel)"
    );
    // process 43 ends; a written file does not notice
    fs::write(row.join("cgroup.procs"), "").unwrap();
    // the folders of a written tree are not empty, so only their removal fails
    let failures = groups.remove();
    assert!(
        failures.iter().all(|failure| failure.contains("could not be removed")),
        "{failures:?}"
    );
    assert_eq!(text(&base.join("cgroup.subtree_control")), "-memory");
    assert_eq!(text(&base.join("cgroup.procs")), "42", "divvy is in its group again");
}

#[test]
fn v2_refuses_beside_other_processes() {
    let root = tempfile::tempdir().unwrap();
    v2_tree(root.path(), "/", "1\n41\n");
    let mut groups = OwnCgroups::detect(root.path(), "41-7").unwrap();
    let refusal = groups.make("web", &BTreeSet::from([41])).unwrap_err();
    assert!(refusal.starts_with("divvy is not alone in cgroup /, "), "{refusal}");
    assert!(!groups.folder().exists());
    assert_eq!(groups.remove(), [""; 0]);
}

#[test]
fn group_of_another_manager_is_refused() {
    let root = tempfile::tempdir().unwrap();
    v2_tree(root.path(), "/user.slice/session-2.scope", "41\n");
    let refusal = OwnCgroups::detect(root.path(), "41-7").unwrap_err();
    let expected = "divvy is in cgroup /user.slice/session-2.scope, which systemd manages: start divvy \
                    with `systemd-run --scope -p Delegate=yes divvy ...`";
    assert_eq!(refusal, expected);
}

#[test]
fn missing_controller_is_named() {
    let root = tempfile::tempdir().unwrap();
    v2_tree(root.path(), "/", "41\n");
    fs::write(root.path().join("cg/cgroup.controllers"), "cpu pids\n").unwrap();
    let refusal = OwnCgroups::detect(root.path(), "41-7").unwrap_err();
    assert_eq!(refusal, "the memory controller is not enabled for cgroup /");
    let empty = tempfile::tempdir().unwrap();
    let refusal = OwnCgroups::detect(empty.path(), "41-7").unwrap_err();
    assert_eq!(refusal, "no cgroup hierarchy with the memory controller is mounted");
}
