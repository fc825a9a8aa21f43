//! Tests of weights through a host.

use std::time::Duration;

use super::support::{Program, files, host, options, row, wait_for};
use crate::machine::{ForeignProcess, lowest_nice};
use crate::process::{ProcessHost, ProcessOptions};

/// Returns the nice value of a program's first thread.
fn nice(program: &Program) -> i32 {
    ForeignProcess::find(&files(), program.id()).unwrap().nice(program.pid()).unwrap()
}

/// Returns true, with a message, if this user cannot restore a nice value.
fn cannot_restore() -> bool {
    if lowest_nice() > 0 {
        eprintln!("skipped: lowering a nice value needs CAP_SYS_NICE");
    }
    lowest_nice() > 0
}

#[test]
fn weight_is_set_or_restored() {
    if cannot_restore() {
        return;
    }
    let program = Program::start();
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    let found = nice(&program);
    wait_for("the means", || row.sample().view.weight_by == "nice value of each thread");
    row.set_weight_base(Some(0));
    assert_eq!(row.set_nice(6), Ok(()));
    assert_eq!((row.nice(), nice(&program)), (6, found.max(0) + 6));
    // all rows have the same weight again
    row.set_weight_base(None);
    assert_eq!(nice(&program), found);
    row.set_weight_base(Some(0));
    assert_eq!(nice(&program), found.max(0) + 6);
    assert!(row.release(Duration::from_secs(10)));
    assert_eq!(nice(&program), found);
}

#[test]
fn next_run_restores_the_weight() {
    if cannot_restore() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let with_state = || ProcessOptions { state: Some(state.path().to_owned()), ..options() };
    let program = Program::start();
    let found = nice(&program);
    // it does not repair the value meanwhile
    let killed = host(ProcessOptions { interval: Duration::from_mins(1), ..with_state() });
    let row = row(&killed, &program.source(), 1);
    wait_for("the means", || !row.sample().view.weight_by.is_empty());
    row.set_weight_base(Some(0));
    assert_eq!(row.set_nice(6), Ok(()));
    super::restoring::kill_run(state.path());
    let leftovers = ProcessHost::leftovers(state.path());
    assert_eq!(leftovers.len(), 1);
    assert!(leftovers[0].has_other_weight && leftovers[0].process == program.id());
    let _next = host(with_state());
    wait_for("the restored value", || nice(&program) == found);
    wait_for("the record", || ProcessHost::leftovers(state.path()).is_empty());
}

#[test]
fn excess_of_memory_is_reported() {
    let program = Program::start();
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    assert_eq!(row.memory_excess(), None);
    row.set_memory(Some(1 << 20));
    let message = row.memory_excess().unwrap();
    assert!(message.starts_with("uses ") && message.ends_with(" MiB of 1.0 MiB"), "{message}");
    assert_eq!(row.sample().view.memory_by, "", "divvy did not start it");
}
