//! What a run leaves in the state folder: a journal, the live layout, and after a crash the offer to
//! go on with it.
#![cfg(unix)]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use divvy::telemetry::journal_file;

fn divvy(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_divvy"));
    command.env("XDG_STATE_HOME", state).env_remove("DIVVY_LOG").stdin(Stdio::null());
    command
}

fn headless(state: &Path, arguments: &[&str]) -> Output {
    let mut command = divvy(state);
    command.args(["--headless", "--engine", "rten", "--for", "100ms"]).args(arguments);
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_run_leaves_its_header_and_its_layout_and_ends_cleanly() {
    let state = tempfile::tempdir().unwrap();
    let first = headless(state.path(), &[]);
    assert!(first.status.success(), "{}", stderr(&first));
    let folder = state.path().join("divvy");
    let journal = journal_file::read(&folder).unwrap();
    assert_eq!(journal.runs.len(), 1);
    assert_eq!(journal.runs[0].run.layout, "demo");
    let second = headless(state.path(), &["--last"]);
    assert!(second.status.success(), "{}", stderr(&second));
    assert!(!stderr(&second).contains("did not end cleanly"), "{}", stderr(&second));
    let listed = divvy(state.path()).args(["journal", "--runs"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed.matches("layout demo").count(), 2, "{listed}");
}

#[test]
fn after_a_crash_the_next_start_offers_the_layout_and_last_takes_it() {
    let state = tempfile::tempdir().unwrap();
    let mut running = divvy(state.path())
        .args(["--headless", "--engine", "rten"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mark = state.path().join("divvy/live.json");
    let end = Instant::now() + Duration::from_mins(1);
    while !mark.exists() {
        assert!(Instant::now() < end, "no layout was kept");
        std::thread::sleep(Duration::from_millis(10));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    let next = headless(state.path(), &[]);
    assert!(stderr(&next).contains("`divvy --last` loads it"), "{}", stderr(&next));
    let taken = headless(state.path(), &["--last"]);
    assert!(taken.status.success(), "{}", stderr(&taken));
    assert!(!stderr(&taken).contains("did not end cleanly"), "{}", stderr(&taken));
    let after = headless(state.path(), &[]);
    assert!(!stderr(&after).contains("did not end cleanly"), "{}", stderr(&after));
}

#[test]
fn a_state_folder_that_cannot_be_made_is_told_and_ends_nothing() {
    let state = tempfile::tempdir().unwrap();
    let blocked = state.path().join("file");
    std::fs::write(&blocked, "in the way").unwrap();
    let run = headless(state.path(), &["--state-dir", blocked.join("in").to_str().unwrap()]);
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(stderr(&run).contains("--state-dir names another"), "{}", stderr(&run));
}

#[test]
fn a_log_level_that_is_none_is_bad_input() {
    let state = tempfile::tempdir().unwrap();
    let mut command = divvy(state.path());
    let run = command.args(["--headless", "--for", "1ms"]).env("DIVVY_LOG", "divvy=loud").output();
    let run = run.unwrap();
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("DIVVY_LOG=divvy=loud"), "{}", stderr(&run));
}
