//! The real binary while it is stopped: the time counts for no latency, and it is marked.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;
mod terminal;

use std::fs;
use std::path::Path;
use std::time::Duration;

use binary::{DIVVY, Home, signal, until};
use divvy::telemetry::Snapshot;
use rustix::process::Signal;
use terminal::opened::{open_quiet, quiet, until_board};
use terminal::{SIZE, Session};

/// Far longer than any request of the demo takes on a busy machine.
const STOPPED: Duration = Duration::from_secs(6);

/// Stops a process and continues it.
fn stop(pid: u32) {
    signal(pid, Signal::STOP);
    std::thread::sleep(STOPPED);
    signal(pid, Signal::CONT);
}

#[test]
fn stop_counts_for_no_latency() {
    let home = Home::new();
    let mut command = home.divvy();
    command.args(["--headless", "--demo", "--json", "--for", "14s", "--interval", "1s"]);
    let child = command.spawn().unwrap();
    let lines = || fs::read_to_string(home.path("out")).unwrap_or_default();
    until("two reports", || (lines().lines().count() >= 2).then_some(()));
    stop(child.id());
    let output = home.end(child);
    let last: Snapshot = serde_json::from_str(output.out.lines().last().unwrap()).unwrap();
    let lengths: Vec<u64> = last.stops.iter().map(|stop| stop.length_us).collect();
    assert_eq!(lengths.len(), 1, "{lengths:?} {}", output.err);
    let stopped_us = STOPPED.as_micros() as u64;
    assert!(lengths[0] > stopped_us * 9 / 10, "{lengths:?}");
    for model in &last.models {
        let slowest = model.run.total.max_us;
        assert!(slowest < stopped_us, "{}: {slowest} us", model.row.budget.name);
    }
    assert!(output.err.contains("the process was stopped for"), "{}", output.err);
}

#[test]
fn stop_is_shown_in_the_console() {
    let home = Home::new();
    let mut session = open_quiet(&home);
    stop(session.pid());
    session.until_text("divvy was stopped for");
    session.until("the mark", |rows| {
        // the border of a pane is another line
        rows.iter().any(|row| row.contains('|')).then_some(())
    });
}

#[test]
fn key_stops_the_models_too() {
    if !Path::new("/bin/sh").exists() {
        println!("skipped: no /bin/sh here");
        return;
    }
    let home = Home::new();
    let layout = quiet(&home);
    let shell = [("PS1", "ready> "), ("ENV", "")];
    let mut session = Session::start_with(&home, "/bin/sh", &["-i"], SIZE, &shell);
    session.until_text("ready>");
    session.send(&format!("'{DIVVY}' '{}'\r", layout.display()));
    until_board(&mut session, 1);
    session.send("\x1a");
    session.until_text("ready>");
    std::thread::sleep(Duration::from_secs(2));
    session.send("fg\r");
    session.until_text("divvy was stopped for");
}
