//! The real binary in a pseudo-terminal: it does not call a change done that is not, and a bad file
//! takes no model down.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;
mod terminal;

use binary::Home;
use terminal::Session;
use terminal::opened::{open, open_quiet, quiet, until_board};

/// Sets a key of the selected row to a value in the row editor.
fn set(session: &mut Session, key: &str, value: &str) {
    session.send("e");
    session.until_text("keys of its row");
    session.send("g");
    let chosen = format!("\u{25b8} {key} ");
    for _ in 0..40 {
        let rows = session.until("the editor", |rows| {
            rows.iter().any(|row| row.contains('\u{25b8}')).then(|| rows.to_vec())
        });
        if rows.iter().any(|row| row.contains(&chosen)) {
            break;
        }
        let before = rows.join("\n");
        session.send("j");
        session.until("the next key", |rows| (rows.join("\n") != before).then_some(()));
    }
    session.send("\r");
    session.until_text("enter sets the value");
    session.send("\x15");
    session.send(value);
    session.send("\r");
}

/// Waits until the newest line about the model in Changes says that its requests go on.
fn until_serving(session: &mut Session) {
    session.until("requests", |rows| {
        let row = rows.iter().find(|row| row.contains("ranker") && row.contains('/'))?;
        (!row.contains("failed") && !row.contains("loading")).then_some(())
    });
}

#[test]
fn missing_gpu_is_rolled_back() {
    if std::path::Path::new("/dev/nvidiactl").exists() {
        println!("skipped: this machine has a GPU");
        return;
    }
    let home = Home::new();
    let layout = std::fs::read_to_string(quiet(&home)).unwrap();
    // with the engine named, the plan refuses it
    let layout = home.write("any.toml", layout.replace("engine = \"rten\"\n", ""));
    let mut session = open(&home, &[layout.to_str().unwrap()]);
    until_board(&mut session, 1);
    set(&mut session, "gpu", "0");
    session.until_text("rolled back: ");
    session.send("\x1b");
    until_serving(&mut session);
}

#[test]
fn path_of_no_model_is_refused() {
    let home = Home::new();
    let text = home.write("notes.onnx", "these are notes");
    let mut session = open_quiet(&home);
    set(&mut session, "path", text.to_str().unwrap());
    session.until_text("not an ONNX model");
    session.send("\x1b\x1b");
    until_serving(&mut session);
}

#[test]
fn adding_no_model_is_refused() {
    let home = Home::new();
    let text = home.write("notes.onnx", "these are notes");
    let mut session = open_quiet(&home);
    session.send("a");
    session.until_text("Add a row");
    session.send(text.to_str().unwrap());
    session.send("\r");
    session.until_text("not an ONNX model");
    session.send("\x1b");
    session.until("no second model", |rows| {
        (!rows.iter().any(|row| row.contains("notes"))).then_some(())
    });
}

#[test]
fn thousand_instances_ask_first() {
    let home = Home::new();
    let mut session = open_quiet(&home);
    set(&mut session, "concurrency", "1000");
    session.until_text("ranker: 1000 instances of 1 thread");
    session.send("n");
    session.until("no question", |rows| {
        (!rows.iter().any(|row| row.contains("1000 instances"))).then_some(())
    });
    until_serving(&mut session);
    session.until_text("Each change appears here");
}

#[test]
fn paused_model_says_what_it_loses() {
    let home = Home::new();
    let layout = std::fs::read_to_string(quiet(&home)).unwrap();
    let (head, _) = layout.split_once("load =").unwrap();
    let load = "load = { kind = \"constant\", rate = 40 }\nqueue = { timeout = \"500ms\" }\n";
    let layout = home.write("steady.toml", format!("{head}{load}"));
    let mut session = open(&home, &[layout.to_str().unwrap()]);
    until_board(&mut session, 1);
    session.send("p");
    session.until_text("40/s -> 0/s, requests time out after 500ms");
    session.until_text("paused: 40/s arrive, ");
    session.until_text("/s time out after 500ms");
}
