//! The real binary in a pseudo-terminal: the terminal is restored however the program ends, and no
//! foreign output overwrites the screen.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;
mod terminal;

use std::path::Path;

use binary::{DIVVY, Home, signal};
use rustix::process::Signal;
use terminal::board::cells;
use terminal::opened::{open_quiet, quiet, until_board};
use terminal::{SIZE, Session, assert_given_back, find};

#[test]
fn signal_restores_the_terminal() {
    for stop in [Signal::TERM, Signal::INT, Signal::HUP] {
        let home = Home::new();
        let mut session = open_quiet(&home);
        // in the middle of a drag, when most is switched on
        let place = cells(&session.rows())[0].place;
        session.press_and_carry(place, (place.0 + 1, place.1 + 1));
        signal(session.pid(), stop);
        let left = session.left();
        assert_eq!((left.code, left.signal.as_deref()), (0, None), "{stop:?}");
        left.assert_restored();
    }
}

#[test]
fn panic_restores_the_terminal() {
    if !cfg!(debug_assertions) {
        println!("skipped: only a debug build panics on request");
        return;
    }
    let home = Home::new();
    let layout = quiet(&home);
    let asked = [("DIVVY_PANIC", "redraw"), ("RUST_BACKTRACE", "0")];
    let layout = [layout.to_str().unwrap()];
    let mut session = Session::start_with(&home, DIVVY, &layout, SIZE, &asked);
    until_board(&mut session, 1);
    session.send("\x0c");
    let left = session.left();
    assert_eq!(left.code, 101);
    left.assert_restored();
    let message = find(&left.bytes, "DIVVY_PANIC").expect("the panic's message");
    let restored = find(&left.bytes, "\x1b[?1049l").unwrap();
    assert!(restored < message, "the message went away with the alternate screen");
    assert!(left.screen.contains("DIVVY_PANIC"), "{}", left.screen);
}

#[test]
fn library_stderr_goes_to_the_log() {
    if !cfg!(debug_assertions) {
        println!("skipped: only a debug build writes there on request");
        return;
    }
    let home = Home::new();
    let layout = quiet(&home);
    let asked = [("DIVVY_STRAY", "redraw")];
    let layout = [layout.to_str().unwrap()];
    let mut session = Session::start_with(&home, DIVVY, &layout, SIZE, &asked);
    until_board(&mut session, 1);
    session.send("\x0c");
    let kept = home.path("state/divvy/stderr.log");
    binary::until("what it wrote", || {
        std::fs::read_to_string(&kept).ok()?.contains("a library was here").then_some(())
    });
    // no frame has shown the text so far
    let raw = String::from_utf8_lossy(&session.bytes()).matches("a library was here").count();
    assert_eq!(raw, 0, "it came over the screen");
    // the log shows it, marked with its source
    session.send("L");
    session.until_text("stderr: a library was here");
    session.send("q");
    let left = session.left();
    assert_eq!(left.code, 0);
    left.assert_restored();
}

#[test]
fn next_start_names_the_stderr_file() {
    if !cfg!(debug_assertions) {
        println!("skipped: only a debug build ends so on request");
        return;
    }
    let home = Home::new();
    let layout = quiet(&home);
    let layout = [layout.to_str().unwrap()];
    let asked = [("DIVVY_ABORT", "redraw")];
    let mut session = Session::start_with(&home, DIVVY, &layout, SIZE, &asked);
    until_board(&mut session, 1);
    let kept = home.path("state/divvy/live.json");
    binary::until("the kept layout", || kept.is_file().then_some(()));
    session.send("\x0c");
    let left = session.left();
    assert!(left.signal.is_some(), "it ended with {}", left.code);
    left.assert_restored();
    assert!(left.screen.contains("ended by a fault in native code"), "{}", left.screen);
    let words = std::fs::read_to_string(home.path("state/divvy/stderr.log")).unwrap();
    assert_eq!(words, "a library was here\n");
    let mut session = open_quiet(&home);
    session.until_text("stderr.log");
    session.send("q");
    session.left().assert_restored();
}

#[test]
fn native_fault_restores_the_terminal() {
    for fault in [Signal::SEGV, Signal::BUS, Signal::ILL, Signal::FPE, Signal::TRAP, Signal::ABORT]
    {
        let home = Home::new();
        let session = open_quiet(&home);
        signal(session.pid(), fault);
        let left = session.left();
        assert!(left.signal.is_some(), "{fault:?}: it ended with {}", left.code);
        left.assert_restored();
        assert!(left.screen.contains("ended by a fault in native code"), "{}", left.screen);
    }
}

fn until_shell(session: &mut Session) {
    session.until("the shell", |rows| {
        let last = rows.iter().rev().find(|row| !row.trim().is_empty())?;
        last.contains("ready>").then_some(())
    });
}

/// The one process that a process has started.
fn child_of(parent: u32) -> u32 {
    let children =
        std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    children.trim().parse().unwrap()
}

#[test]
fn suspend_restores_the_terminal() {
    if !Path::new("/bin/sh").exists() {
        println!("skipped: no /bin/sh here");
        return;
    }
    let home = Home::new();
    let layout = quiet(&home);
    let shell = [("PS1", "ready> "), ("ENV", "")];
    let mut session = Session::start_with(&home, "/bin/sh", &["-i"], SIZE, &shell);
    session.until_text("ready>");
    let modes = session.modes();
    session.send(&format!("'{DIVVY}' '{}'\r", layout.display()));
    until_board(&mut session, 1);
    session.send("\x1a");
    until_shell(&mut session);
    assert_given_back(&session.bytes());
    let cooked = session.modes();
    session.send("fg\r");
    until_board(&mut session, 1);
    assert_ne!(session.modes(), cooked, "raw again");
    // the same when another process sends the signal
    let console = child_of(session.pid());
    signal(console, Signal::TSTP);
    until_shell(&mut session);
    assert_given_back(&session.bytes());
    assert_eq!(session.modes(), cooked);
    session.send("fg\r");
    until_board(&mut session, 1);
    assert_ne!(session.modes(), cooked, "raw again");
    let log = std::fs::read_to_string(home.path("state/divvy/divvy.log")).unwrap();
    assert!(!log.contains("stderr.log"), "the file is this run's again: {log}");
    // the keys work again
    session.send("?");
    session.until_text("Help");
    session.send("\x1b");
    session.until("no help", |rows| (!rows.iter().any(|row| row.contains("Help"))).then_some(()));
    session.send("q");
    until_shell(&mut session);
    assert_given_back(&session.bytes());
    assert_eq!(session.modes(), modes);
    session.send("exit\r");
    session.left();
}

#[test]
fn survives_resizes_down_to_one_cell() {
    let home = Home::new();
    let mut session = open_quiet(&home);
    let sizes = [(1, 1), (300, 100), (40, 12), (2, 50), (500, 2), (80, 24), (39, 11), (1, 200)];
    for round in 0..6_u16 {
        for (columns, rows) in sizes {
            session.storm((columns + round, rows));
            // keys and clicks in between
            session.send("\x1b[B");
            session.mouse(0, (0, 0), 'M');
            session.mouse(0, (0, 0), 'm');
        }
    }
    session.storm((1, 1));
    session.settle(SIZE);
    // redraw everything, whatever the resizes left open
    session.send("\x1b");
    session.send("1");
    session.send("\x0c");
    until_board(&mut session, 1);
    session.send("?");
    session.until_text("Help");
    session.send("x");
    session.send("q");
    let left = session.left();
    assert_eq!((left.code, left.signal.as_deref()), (0, None));
    assert_given_back(&left.bytes);
    assert_eq!(left.modes.0, left.modes.1);
}
