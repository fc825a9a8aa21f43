//! Ends of commands, and of what they leave behind.

use super::*;

/// Starts a process in a new session whose parents have ended, as a daemon does.
const DAEMON: &str = "
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print('daemon', os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
os.wait()
";

#[test]
fn ignored_sigterm_is_followed_by_sigkill() {
    let script = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    let started = TestCommand::start(&shell(script, RestartPolicy::Never));
    started.wait_for_line("x: ready");
    let root = started.wait_for_root();
    assert!(started.command.end(Duration::from_millis(200)));
    assert!(!lives(root) && started.command.has_ended());
}

#[test]
fn sigterm_comes_once_to_each_process() {
    let script = "trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    let started = TestCommand::start(&shell(script, RestartPolicy::Always));
    started.wait_for_line("x: ready");
    assert!(started.command.end(PATIENCE));
    let lines = started.lines.lock().unwrap();
    assert_eq!(lines.iter().filter(|line| *line == "x: asked").count(), 1, "{lines:?}");
}

#[test]
fn stopped_process_ends() {
    let script = "echo ready; kill -STOP $$; sleep 600";
    let started = TestCommand::start(&shell(script, RestartPolicy::Never));
    started.wait_for_line("x: ready");
    let root = started.wait_for_root();
    assert!(started.command.end(Duration::from_secs(10)));
    assert!(!lives(root));
}

#[test]
fn daemon_stays_a_member() {
    let started = TestCommand::start(&python(DAEMON));
    let daemon = started.wait_for_pid("x: daemon ");
    wait_until("its parent has ended", || started.command.root().is_none());
    assert_eq!(started.command.state(), ProcessState::Running);
    assert_eq!(started.command.roots(), [daemon]);
    assert!(started.command.end(Duration::from_secs(10)));
    assert!(!lives(daemon));
}

#[test]
fn end_of_a_daemon_ends_its_command() {
    let started = TestCommand::start(&python(&DAEMON.replace("600", "0.2")));
    assert_eq!(started.wait_for_end(), "exit code 0");
}

#[test]
fn descendants_end_with_their_command() {
    let script = "(sleep 600 & echo child $!; wait) & sleep 600 & wait";
    let started = TestCommand::start(&shell(script, RestartPolicy::Never));
    let child = started.wait_for_pid("x: child ");
    assert!(started.command.end(Duration::from_secs(10)));
    assert!(!lives(child));
}

#[test]
fn known_members_end_with_their_command() {
    let started = TestCommand::start(&shell("sleep 600", RestartPolicy::Never));
    started.wait_for_root();
    let mut other = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let other_id = child_processes::process_relation(other.id() as i32).unwrap().id;
    started.command.set_members(vec![other_id]);
    assert!(started.command.end(Duration::from_secs(10)));
    assert!(!lives(other_id));
    assert!(!other.wait().unwrap().success());
}

#[test]
fn orphans_that_end_are_reaped() {
    // 50 daemons that end at once
    let script = "
import os
for _ in range(50):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.wait()
print('done', flush=True)
import time; time.sleep(600)
";
    let started = TestCommand::start(&python(script));
    started.wait_for_line("x: done");
    let own = child_processes::process_relation(std::process::id() as i32).unwrap().group;
    let zombies = || {
        let children = child_processes::adopted_children();
        children.iter().filter(|child| child.is_zombie && child.group != own).count()
    };
    wait_until("all are reaped", || zombies() == 0);
    assert!(started.command.end(Duration::from_secs(10)));
}

#[test]
fn dropped_command_ends() {
    let started = TestCommand::start(&shell("sleep 600", RestartPolicy::Never));
    let root = started.wait_for_root();
    drop(started);
    wait_until("it has ended", || !lives(root));
}
