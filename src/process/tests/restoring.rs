//! Tests of restoring what divvy found.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::support::{Cpus, Program, host, options, row, wait_for};
use crate::process::{ProcessEnd, ProcessHost, ProcessOptions};

const PATIENCE: Duration = Duration::from_secs(10);

/// Rewrites the record of this run as that of a run that was killed.
pub(super) fn kill_run(state: &Path) {
    let folder = state.join("processes");
    let prefix = format!("found-{}-", std::process::id());
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let is_own = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&prefix);
    let path = entries.into_iter().find(is_own).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
    file["divvy"]["start_ticks"] = 1.into();
    std::fs::remove_file(path).unwrap();
    std::fs::write(folder.join("found-1.json"), file.to_string()).unwrap();
}

/// Options of a host that repairs nothing during a test.
fn seldom() -> ProcessOptions {
    ProcessOptions { interval: Duration::from_mins(1), ..options() }
}

fn with_state(state: &Path) -> ProcessOptions {
    ProcessOptions { state: Some(state.to_owned()), ..seldom() }
}

#[test]
fn end_of_a_row_restores_every_thread() {
    let Some(cpus) = Cpus::find() else { return };
    let mut program = Program::start();
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    row.set_budget(&cpus.first);
    row.pin(cpus.first);
    program.run("thread(3)");
    assert!(row.release(PATIENCE) && row.has_ended());
    assert_eq!(program.masks(), [cpus.all; 4]);
    // It places nothing from now on.
    row.pin(cpus.first);
    assert_eq!(program.masks(), [cpus.all; 4]);
}

#[test]
fn end_of_the_host_restores() {
    let Some(cpus) = Cpus::find() else { return };
    let program = Program::start();
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    row.set_budget(&cpus.first);
    row.pin(cpus.first);
    drop(host);
    assert_eq!(program.masks(), [cpus.all]);
    assert!(row.has_ended());
}

#[test]
fn option_keeps_the_masks() {
    let Some(cpus) = Cpus::find() else { return };
    let state = tempfile::tempdir().unwrap();
    let program = Program::start();
    let options = ProcessOptions { end: ProcessEnd::Keep, ..with_state(state.path()) };
    let host = host(options);
    let row = row(&host, &program.source(), 1);
    row.set_budget(&cpus.first);
    row.pin(cpus.first);
    drop(host);
    assert_eq!(program.masks(), [cpus.first]);
    assert_eq!(ProcessHost::leftovers(state.path()), []);
}

#[test]
fn mask_that_others_set_stays() {
    let Some(cpus) = Cpus::find() else { return };
    let program = Program::start();
    let host = host(seldom());
    let row = row(&host, &program.source(), 1);
    row.set_budget(&cpus.first);
    row.pin(cpus.first);
    program.move_to(cpus.second);
    row.release(PATIENCE);
    assert_eq!(program.masks(), [cpus.second]);
}

#[test]
fn killed_run_is_restored() {
    let Some(cpus) = Cpus::find() else { return };
    let state = tempfile::tempdir().unwrap();
    let program = Program::start();
    let host = host(with_state(state.path()));
    let row = row(&host, &program.source(), 1);
    row.set_budget(&cpus.first);
    row.pin(cpus.first);
    assert_eq!(ProcessHost::leftovers(state.path()), []);
    kill_run(state.path());
    let found = ProcessHost::leftovers(state.path());
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].process, found[0].now), (program.id(), cpus.first));
    assert_eq!((found[0].before, found[0].threads), (cpus.all, 1));
    assert_eq!(ProcessHost::restore_leftovers(state.path()), Vec::<String>::new());
    assert_eq!(program.masks(), [cpus.all]);
    assert_eq!(ProcessHost::leftovers(state.path()), []);
}

#[test]
fn next_run_takes_over_what_was_found() {
    let Some(cpus) = Cpus::find() else { return };
    let state = tempfile::tempdir().unwrap();
    let program = Program::start();
    let host = host(with_state(state.path()));
    let first = row(&host, &program.source(), 1);
    first.set_budget(&cpus.first);
    first.pin(cpus.first);
    kill_run(state.path());
    let second = ProcessHost::start(with_state(state.path())).unwrap();
    let taken = row(&second, &program.source(), 1);
    taken.set_budget(&cpus.first);
    taken.pin(cpus.first);
    wait_for("the record of the new run", || ProcessHost::leftovers(state.path()).is_empty());
    taken.release(PATIENCE);
    assert_eq!(program.masks(), [cpus.all]);
}
