//! Adoption of processes that an earlier run left.

use std::path::Path;

use super::super::records::EarlierCommand;
use super::*;

const SCRIPT: &str = "echo begin; while :; do sleep 0.05; echo tick; done";

/// Changes the record so that the divvy that made it has ended.
fn end_recorded_divvy(folder: &Path) {
    let path = folder.join("started-night.json");
    let mut record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let divvy = record.pointer_mut("/commands/0/divvy/start_ticks").unwrap();
    *divvy = (divvy.as_u64().unwrap() + 1).into();
    std::fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
}

fn records(folder: &Path) -> CommandRecords {
    CommandRecords::open(Some(folder), "night")
}

fn start(command: &ProcessCommand, folder: &Path, end: ProcessEnd) -> TestCommand {
    let started = TestCommand::unplaced(command, records(folder), end);
    started.command.set_mask(allowed());
    started
}

#[test]
fn adopts_the_process_of_a_dead_run() {
    let folder = tempfile::tempdir().unwrap();
    let command = shell(SCRIPT, RestartPolicy::Never);
    let first = start(&command, folder.path(), ProcessEnd::Restore);
    let root = first.wait_for_root();
    first.wait_for_line("x: begin");
    end_recorded_divvy(folder.path());
    let second = start(&command, folder.path(), ProcessEnd::Restore);
    assert_eq!(second.wait_for_root(), root);
    // divvy finds the pipe again
    second.wait_for_line("x: tick");
    assert!(second.command.end(Duration::from_secs(10)));
    assert!(!lives(root));
    assert_eq!(records(folder.path()).claim("x", &command), EarlierCommand::Nothing);
}

#[test]
fn end_of_an_adopted_process_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let command = shell(SCRIPT, RestartPolicy::OnFailure);
    let first = start(&command, folder.path(), ProcessEnd::Restore);
    let root = first.wait_for_root();
    end_recorded_divvy(folder.path());
    let second = start(&command, folder.path(), ProcessEnd::Restore);
    assert_eq!(second.wait_for_root(), root);
    child_processes::signal_process(root, crate::machine::EndSignal::Kill).unwrap();
    let (ended, _) = second.wait_for_restart();
    assert!(ended.contains("unknown exit code"), "{ended}");
    second.clock.advance(Duration::from_secs(1));
    assert_ne!(second.wait_for_root(), root);
    assert!(second.command.end(Duration::from_secs(10)));
}

#[test]
fn kept_process_writes_into_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let command = shell(SCRIPT, RestartPolicy::Never);
    let first = start(&command, folder.path(), ProcessEnd::Keep);
    let root = first.wait_for_root();
    first.wait_for_line("x: begin");
    assert!(first.command.keep() && lives(root));
    let output = folder.path().join("started-night-x.out");
    let length = || std::fs::metadata(&output).unwrap().len();
    let before = length();
    wait_until("it goes on writing", || length() > before);
    let second = start(&command, folder.path(), ProcessEnd::Restore);
    assert_eq!(second.wait_for_root(), root);
    second.wait_for_line("x: tick");
    assert!(second.command.end(Duration::from_secs(10)));
    assert!(!lives(root));
}

#[test]
fn daemon_of_a_dead_run_is_adopted() {
    let folder = tempfile::tempdir().unwrap();
    let script = "setsid sleep 600 & echo left $!";
    let command = shell(script, RestartPolicy::Never);
    let first = start(&command, folder.path(), ProcessEnd::Restore);
    let left = first.wait_for_pid("x: left ");
    wait_until("its parent has ended", || {
        first.command.root().is_none() && !first.command.roots().is_empty()
    });
    end_recorded_divvy(folder.path());
    let second = start(&command, folder.path(), ProcessEnd::Restore);
    wait_until("it is adopted", || second.command.roots() == [left]);
    assert_eq!(second.command.state(), ProcessState::Running);
    assert!(second.command.end(Duration::from_secs(10)));
    assert!(!lives(left));
}

#[test]
fn process_of_a_living_run_is_not_adopted() {
    let folder = tempfile::tempdir().unwrap();
    let command = shell("sleep 600", RestartPolicy::Never);
    let first = start(&command, folder.path(), ProcessEnd::Restore);
    let root = first.wait_for_root();
    let second = start(&command, folder.path(), ProcessEnd::Restore);
    assert_ne!(second.wait_for_root(), root);
    assert!(second.command.end(Duration::from_secs(10)));
    assert!(lives(root));
    assert!(first.command.end(Duration::from_secs(10)));
}

#[test]
fn another_command_is_not_adopted() {
    let folder = tempfile::tempdir().unwrap();
    let first =
        start(&shell("sleep 600", RestartPolicy::Never), folder.path(), ProcessEnd::Restore);
    let root = first.wait_for_root();
    end_recorded_divvy(folder.path());
    let other = shell("sleep 601", RestartPolicy::Never);
    let leftover = records(folder.path()).claim("x", &other);
    assert!(
        matches!(&leftover, EarlierCommand::Other(_, living) if living.contains(&root)),
        "{leftover:?}"
    );
    assert_eq!(records(folder.path()).claim("y", &other), EarlierCommand::Nothing);
    assert!(first.command.end(Duration::from_secs(10)));
}

#[test]
fn record_of_another_boot_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let command = shell("sleep 600", RestartPolicy::Never);
    let first = start(&command, folder.path(), ProcessEnd::Restore);
    first.wait_for_root();
    end_recorded_divvy(folder.path());
    let path = folder.path().join("started-night.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(&child_processes::boot_id(), "another")).unwrap();
    assert_eq!(records(folder.path()).claim("x", &command), EarlierCommand::Nothing);
    assert!(first.command.end(Duration::from_secs(10)));
}
