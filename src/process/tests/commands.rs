//! Tests of rows whose command divvy starts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::support::{Cpus, files, host, masks, options, wait_for};
use crate::layout::{ProcessCommand, ProcessSelector, ProcessSource, RestartPolicy};
use crate::machine::RunState;
use crate::process::{ProcessAccess, ProcessEnd, ProcessHost, ProcessOptions, ProcessRow};
use crate::telemetry::ProcessState;

const PATIENCE: Duration = Duration::from_secs(10);

fn command(args: &[&str]) -> ProcessSource {
    ProcessSource::new(ProcessSelector::Command(ProcessCommand {
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        dir: None,
        env: BTreeMap::new(),
        restart: RestartPolicy::Never,
    }))
}

/// Starts a command on all CPUs of the test, and returns its row and its process.
fn start(host: &ProcessHost, source: &ProcessSource) -> (std::sync::Arc<ProcessRow>, i32) {
    let row = host.row("row", source);
    row.pin(Cpus::find().map_or_else(|| "0".parse().unwrap(), |cpus| cpus.all));
    wait_for("its process", || row.sample().view.process_count == 1);
    let pid = row.members()[0].pid;
    (row, pid)
}

fn runs(pid: i32) -> bool {
    files().stat(pid).is_some_and(|process| process.state == RunState::Alive)
}

#[test]
fn command_is_placed_like_any_process() {
    let Some(cpus) = Cpus::find() else { return };
    let host = host(options());
    let row = host.row("row", &command(&["sleep", "600"]));
    row.set_budget(&cpus.first);
    row.pin(cpus.first);
    wait_for("its process", || row.sample().view.process_count == 1);
    assert_eq!(row.sample().view.state, ProcessState::Running);
    let pid = row.members()[0].pid;
    assert_eq!(masks(pid), [cpus.first]);
    let both = cpus.first.union(&cpus.second);
    for wider in [both, cpus.second] {
        row.set_budget(&wider);
        row.pin(wider);
        assert_eq!(masks(pid), [wider]);
    }
    assert!(row.release(PATIENCE) && row.has_ended());
    assert!(!runs(pid));
}

#[test]
fn end_of_the_host_ends_its_commands() {
    let host = host(options());
    let (_, first) = start(&host, &command(&["sleep", "600"]));
    let (_, second) = start(&host, &command(&["sleep", "601"]));
    drop(host);
    assert!(!runs(first) && !runs(second));
}

#[test]
fn kept_command_is_adopted_by_the_next_host() {
    let state = tempfile::tempdir().unwrap();
    let with_state = || ProcessOptions { state: Some(state.path().to_owned()), ..options() };
    let source = command(&["sleep", "600"]);
    let keeping = host(ProcessOptions { end: ProcessEnd::Keep, ..with_state() });
    let (_, pid) = start(&keeping, &source);
    drop(keeping);
    assert!(runs(pid));
    let other = host(ProcessOptions { name: "other".to_owned(), ..with_state() });
    let (_, own) = start(&other, &source);
    assert_ne!(own, pid);
    let next = host(with_state());
    let (_, adopted) = start(&next, &source);
    assert_eq!(adopted, pid);
    drop(next);
    assert!(!runs(pid) && runs(own));
}

#[test]
fn removed_row_ends_its_command_also_with_keep() {
    let host = host(ProcessOptions { end: ProcessEnd::Keep, ..options() });
    let (row, pid) = start(&host, &command(&["sleep", "600"]));
    assert!(row.release(PATIENCE));
    assert!(!runs(pid));
}

#[test]
fn failure_is_in_the_sample() {
    let host = host(options());
    let row = host.row("row", &command(&["sh", "-c", "exit 3"]));
    row.pin("0".parse().unwrap());
    let ended = ProcessState::Ended { ended: "exit code 3".to_owned() };
    wait_for("its end", || row.sample().view.state == ended);
}

#[test]
fn readonly_starts_nothing() {
    let host = host(ProcessOptions { access: ProcessAccess::Observe, ..options() });
    let row = host.row("row", &command(&["sleep", "600"]));
    row.pin("0".parse().unwrap());
    let reason = || match &row.sample().view.state {
        ProcessState::Failed { reason } => reason.clone(),
        _ => String::new(),
    };
    wait_for("the reason", || reason().contains("--readonly"));
    assert!(row.members().is_empty() && row.release(PATIENCE));
}
