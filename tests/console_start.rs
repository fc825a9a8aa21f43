//! The real binary in a pseudo-terminal: what the console opens with, after an earlier run and after a
//! crash.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;
mod terminal;

use binary::{Home, signal};
use rustix::process::Signal;
use terminal::opened::{open, open_quiet, quiet, until_board};
use terminal::{Session, find};

#[test]
fn last_layout_reopens() {
    let home = Home::new();
    let mut session = open_quiet(&home);
    session.send("q");
    session.left().assert_restored();
    let mut session = open(&home, &[]);
    until_board(&mut session, 1);
    session.until_text("Opened quiet, the last layout");
    session.send("q");
    session.left().assert_restored();
    std::fs::remove_file(home.path("quiet.toml")).unwrap();
    let mut session = open(&home, &["--engine", "rten"]);
    until_board(&mut session, 3);
    session.until_text("Opened the demo: the last layout, quiet, no longer exists");
    session.send("q");
    session.left().assert_restored();
    // it only stood in: once the file is back, so is the layout
    quiet(&home);
    let mut session = open(&home, &["--demo", "--engine", "rten"]);
    until_board(&mut session, 3);
    session.until_text("The last session used quiet");
    session.send("q");
    session.left().assert_restored();
    // and a demo that was asked for is what was in use last
    let mut session = open(&home, &["--engine", "rten"]);
    until_board(&mut session, 3);
    session.send("q");
    session.left().assert_restored();
}

#[test]
fn failed_start_leaves_the_terminal_alone() {
    let home = Home::new();
    let left = open(&home, &["gone.toml"]).left();
    assert_eq!(left.code, 2);
    assert!(left.screen.contains("gone.toml"), "{}", left.screen);
    assert_eq!(find(&left.bytes, "\x1b[?"), None);
    assert_eq!(left.modes.0, left.modes.1);
}

#[test]
fn demo_opens_if_the_last_layout_fails() {
    let home = Home::new();
    let layout = quiet(&home);
    let model = home.path("own.onnx");
    std::fs::copy(binary::model("ranker"), &model).unwrap();
    let text = std::fs::read_to_string(&layout).unwrap();
    let path = binary::model("ranker").display().to_string();
    std::fs::write(&layout, text.replace(&path, &model.display().to_string())).unwrap();
    let mut session = open(&home, &[layout.to_str().unwrap()]);
    until_board(&mut session, 1);
    session.send("q");
    session.left().assert_restored();
    std::fs::write(&model, "no model any more").unwrap();
    let mut session = open(&home, &["--engine", "rten"]);
    until_board(&mut session, 3);
    session.until_text("Opened the demo: the last layout, quiet, cannot be loaded: ranker");
    session.send("q");
    session.left().assert_restored();
    // it only stood in
    std::fs::copy(binary::model("ranker"), &model).unwrap();
    let mut session = open(&home, &[]);
    until_board(&mut session, 1);
    session.send("q");
    session.left().assert_restored();
}

#[test]
fn crash_offers_the_live_layout() {
    let home = Home::new();
    let mut session = open_quiet(&home);
    session.send("q");
    session.left().assert_restored();
    let session = open_quiet(&home);
    // its layout is kept from the start on
    let kept = home.path("state/divvy/live.json");
    binary::until("the kept layout", || {
        std::fs::read_to_string(&kept).ok()?.contains("\"clean\":false").then_some(())
    });
    signal(session.pid(), Signal::KILL);
    session.left();
    std::fs::remove_file(home.path("quiet.toml")).unwrap();
    let mut session = open(&home, &["--engine", "rten"]);
    until_board(&mut session, 3);
    session.until_text("The last run of quiet did not end cleanly");
    session.until_text("Opened the demo: the last layout");
    session.send("q");
    session.left().assert_restored();
}

#[test]
fn crash_recovery_keeps_the_layout_name() {
    let home = Home::new();
    let opened = quiet(&home);
    let before = std::fs::read_to_string(&opened).unwrap();
    std::fs::create_dir(home.path("layouts")).unwrap();
    let loaded = home.write("layouts/alt.toml", format!("{before}weight = 2\n"));
    let mut session = open_quiet(&home);
    session.send("o");
    session.until_text("quiet   live");
    session.send("\x1b[H");
    session.until_text("▸ alt");
    session.until_text("weight 1 → 2");
    session.send("\r");
    session.until_text("in force in");
    session.send("bl+");
    session.until_text("1 -> 2 instances");
    let kept = |name: &str, text: &str| {
        let file = home.path(&format!("state/divvy/{name}"));
        binary::until(text, || std::fs::read_to_string(&file).ok()?.contains(text).then_some(()));
    };
    kept("live.json", "\"title\":\"alt\"");
    kept("live.toml", "concurrency = 2");
    signal(session.pid(), Signal::KILL);
    session.left();
    let mut session = open(&home, &["--last"]);
    until_board(&mut session, 1);
    session.until("the mark of a change", |rows| rows[0].contains("alt*").then_some(()));
    session.send("s");
    session.until_text("alt saved to");
    session.until("no mark", |rows| (!rows[0].contains("alt*")).then_some(()));
    session.send("q");
    session.left().assert_restored();
    assert_eq!(std::fs::read_to_string(&opened).unwrap(), before);
    let after = std::fs::read_to_string(&loaded).unwrap();
    assert!(after.contains("concurrency = 2") && after.contains("weight = 2"), "{after}");
}

#[test]
fn dumb_terminal_gets_reports() {
    let home = Home::new();
    let arguments = ["--engine", "rten"];
    let variables = [("TERM", "dumb")];
    let mut session = Session::start_with(&home, binary::DIVVY, &arguments, (120, 36), &variables);
    session.until_text("TERM=dumb");
    session.until_text("req/s");
    signal(session.pid(), Signal::INT);
    let left = session.left();
    assert_eq!(left.code, 0, "{}", left.screen);
    assert_eq!(find(&left.bytes, "\x1b[?1049h"), None);
}

#[test]
fn c_locale_gets_ascii() {
    let home = Home::new();
    let variables = [("LC_ALL", "C")];
    let arguments = ["--engine", "rten", "--demo"];
    let mut session = Session::start_with(&home, binary::DIVVY, &arguments, (120, 36), &variables);
    session.until_text("detector");
    session.send("q");
    let left = session.left();
    left.assert_restored();
    assert!(left.bytes.is_ascii());
}
