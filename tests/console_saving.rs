//! The real binary in a pseudo-terminal: which file a save writes, and files that change between the
//! load and the save.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;
mod terminal;

use std::fs;
use std::path::Path;

use binary::{DIVVY, Home};
use terminal::opened::{open, open_quiet, until_board};
use terminal::{SIZE, Session};

/// A layout of one embedded model.
const ONE_MODEL: &str =
    "# my own\nversion = 1\n[[model]]\nname = \"mine\"\npath = \"embedded:ranker.onnx\"\n";

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// Saves under the proposed name and quits.
fn save_as_proposed(session: &mut Session, name: &str) {
    session.send("s");
    session.until_text("Save the live layout as");
    session.until_text(name);
    session.send("\r");
    session.until_text(&format!("{name} saved to"));
}

fn quit(mut session: Session) {
    session.send("q");
    session.left().assert_restored();
}

#[test]
fn demo_does_not_replace_a_layout_of_its_name() {
    let home = Home::new();
    fs::create_dir(home.path("layouts")).unwrap();
    let own = home.write("layouts/demo.toml", ONE_MODEL);
    let mut session = open(&home, &["--engine", "rten"]);
    until_board(&mut session, 3);
    save_as_proposed(&mut session, "demo-2");
    assert_eq!(read(&own), ONE_MODEL);
    assert!(read(&home.path("layouts/demo-2.toml")).contains("embedded:detector.onnx"));
    // now it is this run's own file
    session.send("s");
    session.until("a save without a question", |rows| {
        rows.iter().any(|row| row.contains("demo-2 saved to")).then_some(())
    });
    quit(session);
}

#[test]
fn demo_does_not_replace_layouts_of_a_clone() {
    let home = Home::new();
    fs::create_dir(home.path("layouts")).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("layouts/demo.toml");
    let cloned = home.write("layouts/demo.toml", read(&shipped));
    let arguments = ["--layout-dir", "mine", "--engine", "rten"];
    let mut session = Session::start(&home, DIVVY, &arguments, SIZE);
    until_board(&mut session, 3);
    save_as_proposed(&mut session, "demo-2");
    assert_eq!(read(&cloned), read(&shipped));
    assert!(home.path("mine/demo-2.toml").is_file());
    quit(session);
}

#[test]
fn models_do_not_replace_those_of_another_run() {
    let home = Home::new();
    for (folder, model) in [("a", "ranker"), ("b", "embedder")] {
        fs::create_dir(home.path(folder)).unwrap();
        fs::copy(binary::model(model), home.path(&format!("{folder}/x.onnx"))).unwrap();
    }
    let run = |models: &[&str], name: &str| {
        let arguments = [&["--engine", "rten"], models].concat();
        let mut session = open(&home, &arguments);
        session.until_text("req/s");
        save_as_proposed(&mut session, name);
        quit(session);
        read(&home.path(&format!("layouts/{name}.toml")))
    };
    let first = run(&["a/x.onnx", "b/x.onnx"], "models");
    let second = run(&["b/x.onnx"], "models-2");
    assert_eq!(read(&home.path("layouts/models.toml")), first);
    assert!(first.contains("a/x.onnx") && !second.contains("a/x.onnx"), "{second}");
}

#[test]
fn changes_of_two_programs_are_merged() {
    let home = Home::new();
    let mut session = open_quiet(&home);
    let file = home.path("quiet.toml");
    let added =
        "\n# of a colleague\n[[model]]\nname = \"added\"\npath = \"embedded:embedder.onnx\"\n";
    let slo = "slo = { p99 = \"250ms\" } # agreed\n";
    fs::write(&file, format!("{}{slo}{added}", read(&file))).unwrap();
    session.send("l+");
    session.until_text("1 -> 2 instances");
    session.send("s");
    session.until_text("quiet was changed by another program");
    for line in ["ranker: SLO none -> p99 250ms", "added: added, cores 1", "concurrency auto -> 2"]
    {
        session.until_text(line);
    }
    assert!(!read(&file).contains("concurrency"));
    session.send("m");
    session.until_text("quiet saved to");
    until_board(&mut session, 2);
    let saved = read(&file);
    for text in ["concurrency = 2", slo, "# of a colleague", "name = \"added\""] {
        assert!(saved.contains(text), "{text}:\n{saved}");
    }
    quit(session);
}

#[test]
fn second_console_does_not_undo_the_first() {
    let home = Home::new();
    let mut first = open_quiet(&home);
    let file = home.path("quiet.toml");
    let path = file.display().to_string();
    let mut second = open(&home, &[&path]);
    until_board(&mut second, 1);
    second.until_text("Another divvy uses the state folder");
    first.send("l+s");
    first.until_text("quiet saved to");
    second.send("ll+");
    second.until_text("threads");
    second.send("s");
    second.until_text("concurrency auto -> 2");
    second.send("\x1b");
    second.until("the dialog gone", |rows| {
        (!rows.iter().any(|row| row.contains("by another program"))).then_some(())
    });
    assert!(read(&file).contains("concurrency = 2") && !read(&file).contains("threads"));
    second.send("qd");
    second.left().assert_restored();
    quit(first);
}

#[test]
fn file_with_faults_is_not_overwritten() {
    let home = Home::new();
    let mut session = open_quiet(&home);
    let file = home.path("quiet.toml");
    let broken = format!("{}half of a li", read(&file));
    fs::write(&file, &broken).unwrap();
    session.send("l+");
    session.until_text("1 -> 2 instances");
    session.send("s");
    session.until_text("quiet was not saved");
    session.until_text("| half of a li");
    assert_eq!(read(&file), broken);
    session.send("\x1b");
    session.until("the pane gone", |rows| {
        (!rows.iter().any(|row| row.contains("Message"))).then_some(())
    });
    session.send("qd");
    session.left().assert_restored();
}
