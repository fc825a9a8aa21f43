//! Starts and restarts.

use super::*;

#[test]
fn waits_for_its_cores() {
    let records = CommandRecords::open(None, "test");
    let started = TestCommand::unplaced(
        &shell("grep Cpus_allowed_list /proc/self/status | tr '\\t' ' '", RestartPolicy::Never),
        records,
        ProcessEnd::Restore,
    );
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(started.command.state(), ProcessState::Absent);
    let one = CpuSet::single(allowed().lowest().unwrap());
    started.command.set_mask(one);
    assert_eq!(started.wait_for_end(), "exit code 0");
    started.wait_for_line(&format!("x: Cpus_allowed_list: {one}"));
}

#[test]
fn runs_in_its_folder_with_its_variables() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = shell("pwd; echo $GREETING; pwd >&2", RestartPolicy::Never);
    command.dir = Some(folder.path().canonicalize().unwrap());
    command.env.insert("GREETING".to_owned(), "good morning".to_owned());
    let started = TestCommand::start(&command);
    assert_eq!(started.wait_for_end(), "exit code 0");
    started.wait_for_line("x: good morning");
    started.wait_for_line(&format!("x: {}", command.dir.unwrap().display()));
}

#[test]
fn leads_a_process_group_of_its_session() {
    let started = TestCommand::start(&shell("sleep 600", RestartPolicy::Never));
    let root = started.wait_for_root();
    let process = child_processes::process_relation(root.pid).unwrap();
    let own = child_processes::process_relation(std::process::id() as i32).unwrap();
    assert_eq!((process.group, process.session), (root.pid, own.session));
    assert!(started.command.end(Duration::from_secs(10)));
}

#[test]
fn missing_program_is_an_error() {
    let mut command = shell("", RestartPolicy::Never);
    command.args = vec!["no-such-program-here".to_owned()];
    let started = TestCommand::start(&command);
    let is_failed = || matches!(started.command.state(), ProcessState::Failed { .. });
    wait_until("it fails", is_failed);
    let ProcessState::Failed { reason } = started.command.state() else { unreachable!() };
    assert!(reason.contains("no-such-program-here") && reason.contains("install it"), "{reason}");
    assert!(started.command.end(Duration::ZERO));
}

#[test]
fn missing_program_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = shell("", RestartPolicy::OnFailure);
    let script = folder.path().join("script");
    command.args = vec![script.to_str().unwrap().to_owned()];
    let started = TestCommand::start(&command);
    wait_until("it fails", || matches!(started.command.state(), ProcessState::Failed { .. }));
    std::os::unix::fs::symlink("/bin/true", &script).unwrap();
    started.clock.advance(Duration::from_secs(1));
    assert_eq!(started.wait_for_end(), "exit code 0");
}

#[test]
fn failure_restarts_after_growing_pauses() {
    let started = TestCommand::start(&shell("exit 3", RestartPolicy::OnFailure));
    for seconds in [1, 2, 4] {
        let (ended, wait_ms) = started.wait_for_restart();
        assert_eq!((ended.as_str(), wait_ms), ("exit code 3", seconds * 1000));
        started.clock.advance(Duration::from_millis(seconds * 1000 - 1));
        wait_until("a millisecond is left", || started.wait_for_restart().1 == 1);
        started.clock.advance(Duration::from_millis(1));
        wait_until("it has started again", || {
            !matches!(started.command.state(), ProcessState::Restarting { wait_ms: 0, .. })
        });
    }
}

#[test]
fn success_ends_a_command_for_failures() {
    let started = TestCommand::start(&shell("exit 0", RestartPolicy::OnFailure));
    assert_eq!(started.wait_for_end(), "exit code 0");
}

#[test]
fn success_restarts_a_command_for_always() {
    let started = TestCommand::start(&shell("exit 0", RestartPolicy::Always));
    assert_eq!(started.wait_for_restart(), ("exit code 0".to_owned(), 1000));
    assert!(started.command.end(Duration::ZERO));
}

#[test]
fn signal_is_named() {
    let started = TestCommand::start(&shell("kill -9 $$", RestartPolicy::Never));
    assert_eq!(started.wait_for_end(), "signal 9 (SIGKILL)");
}

#[test]
fn rest_of_a_failed_run_ends_before_restart() {
    let script = "sleep 600 & echo rest $!; exit 1";
    let started = TestCommand::start(&shell(script, RestartPolicy::Always));
    let (ended, _) = started.wait_for_restart();
    assert_eq!(ended, "exit code 1");
    let line = started.lines.lock().unwrap().first().cloned().unwrap();
    let pid: i32 = line.strip_prefix("x: rest ").unwrap().parse().unwrap();
    let left = child_processes::process_relation(pid);
    assert!(left.is_none_or(|process| process.is_zombie), "{left:?}");
}
