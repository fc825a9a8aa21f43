//! Consoles that are attached to a run without a terminal, in pseudo-terminals.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;
mod terminal;

use std::process::Child;

use binary::{DIVVY, Home, signal, until};
use divvy::control::api::{ChangeBody, HistoryBody};
use divvy::control::{Address, ControlClient};
use divvy::layout::Edit;
use rustix::process::Signal;
use terminal::board::model;
use terminal::opened::{quiet, until_board};
use terminal::{SIZE, Session};

/// A headless run named "night"; killed on drop.
struct TestRun(Child);

impl TestRun {
    fn start(home: &Home) -> Self {
        let layout = quiet(home);
        let mut divvy = home.divvy();
        divvy.args(["--headless", "--interval", "1h", "--name", "night"]).arg(layout);
        let run = Self(divvy.spawn().unwrap());
        let socket = home.path("run/divvy/night.sock");
        until("the socket", || socket.exists().then_some(()));
        run
    }

    fn kill(mut self) {
        signal(self.0.id(), Signal::KILL);
        self.0.wait().unwrap();
    }
}

impl Drop for TestRun {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn attach(home: &Home, arguments: &[&str]) -> Session {
    let mut all = vec!["attach"];
    all.extend(arguments);
    let mut session = Session::start(home, DIVVY, &all, SIZE);
    until_board(&mut session, 1);
    session.until_text("attached to night");
    session
}

fn until_instances(session: &mut Session, count: usize) {
    session.until("the instances", |rows| (model(rows, "ranker")?.split?.0 == count).then_some(()));
}

#[test]
fn attached_consoles_agree() {
    let home = Home::new();
    let _run = TestRun::start(&home);
    let mut first = attach(&home, &[]);
    let mut second = attach(&home, &["night", "--as", "other"]);
    first.send("\x1b[C+");
    until_instances(&mut first, 2);
    until_instances(&mut second, 2);
    second.send("\x1b[C+");
    until_instances(&mut first, 3);
    first.until_text("/other: ");
    // the other console has touched the row since
    first.send("u");
    first.until_text("divvy undo 2");
    second.send("u");
    until_instances(&mut first, 2);
    first.send("q");
    let left = first.left();
    assert_eq!((left.code, left.signal.as_deref()), (0, None));
    assert!(left.screen.contains("divvy attach night"), "{}", left.screen);
    left.assert_restored();

    // the same caller as before
    let mut again = attach(&home, &[]);
    again.send("u");
    until_instances(&mut again, 1);
    until_instances(&mut second, 1);
}

#[test]
fn killed_run_is_reported() {
    let home = Home::new();
    let run = TestRun::start(&home);
    let mut session = attach(&home, &[]);
    run.kill();
    session.until_text("night ended");
    session.until_text("LOST");
    session.send("\x1b[C+");
    session.until_text("nothing can be changed");
    let _run = TestRun::start(&home);
    session.until_text("was started again");
    session.until_text("LIVE");
    // the column is chosen already
    session.send("+");
    until_instances(&mut session, 2);
    session.send("q");
    let left = session.left();
    assert_eq!((left.code, left.signal.as_deref()), (0, None));
    left.assert_restored();
}

#[test]
fn suspended_run_comes_back() {
    let home = Home::new();
    let run = TestRun::start(&home);
    let mut session = attach(&home, &[]);
    signal(run.0.id(), Signal::STOP);
    session.until_text("it may be suspended");
    signal(run.0.id(), Signal::CONT);
    // the alert about the stopped time may hide the message
    session.until_text("LIVE");
    session.send("q");
    session.left().assert_restored();
}

#[test]
fn end_run_asks_first() {
    let home = Home::new();
    let mut run = TestRun::start(&home);
    let mut session = attach(&home, &[]);
    session.send("Q");
    session.until_text("End night?");
    session.send("n");
    session.send("Q");
    session.until_text("End night?");
    session.send("y");
    session.until_text("night ended");
    assert!(run.0.wait().unwrap().success());
    session.send("q");
    session.left().assert_restored();
}

#[test]
fn undo_is_kept_per_client() {
    let home = Home::new();
    let _run = TestRun::start(&home);
    let client = |name: &str| {
        let socket = Address::Socket(home.path("run/divvy/night.sock"));
        ControlClient::new(socket, name).unwrap()
    };
    let (first, second) = (client("first"), client("second"));
    let undo = |change| HistoryBody { change, expected: None };
    let pause = Edit::Pause { model: "ranker".to_owned(), paused: true };
    let id = first.apply(&ChangeBody::new(pause.into())).unwrap().id;
    let refused = second.undo(&undo(None)).unwrap_err().to_string();
    assert!(refused.contains(&format!("divvy undo {id}")), "{refused}");
    assert_eq!(second.undo(&undo(Some(id))).unwrap().of, Some(id));
    // only who has undone it can redo it
    assert!(first.redo(&undo(None)).is_err());
    let wrong = second.redo(&undo(Some(id))).unwrap_err().to_string();
    assert!(wrong.contains("a redo has no choice"), "{wrong}");
    assert_eq!(second.redo(&undo(None)).unwrap().of, Some(id));
}
