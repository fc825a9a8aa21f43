//! The real binary in a pseudo-terminal: cores are moved with mouse bytes and keys, rows are edited,
//! and the kernel's masks follow.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;
mod terminal;

use std::path::{Path, PathBuf};

use binary::{Home, until, workers};
use divvy::layout::{FileCheck, Layout, LoadSpec, demo};
use divvy::machine::{CoreId, CpuSet};
use terminal::Session;
use terminal::board::{Cell, Row, cell, model, models};
use terminal::opened::{open, open_quiet, until_board};

const DEMO: [&str; 3] = ["detector", "embedder", "ranker"];

/// The CPUs on which any thread that runs a model's requests is allowed.
fn cpus(pid: u32, model: &str) -> CpuSet {
    workers(pid, model).values().fold(CpuSet::EMPTY, |union, mask| union.union(mask))
}

/// Waits until all threads that run a model's requests are allowed on these CPUs and no others.
fn until_all_on(pid: u32, model: &str, wanted: CpuSet) {
    until(&format!("all threads of {model} on {wanted}: {:?}", workers(pid, model)), || {
        let workers = workers(pid, model);
        (!workers.is_empty() && workers.values().all(|mask| *mask == wanted)).then_some(())
    });
}

fn with(set: CpuSet, core: u16) -> CpuSet {
    set.union(&CpuSet::single(CoreId(core)))
}

fn without(set: CpuSet, core: u16) -> CpuSet {
    set.difference(&CpuSet::single(CoreId(core)))
}

/// Writes a layout of the demo's models in which an exclusive core can move even on two cores.
fn three_models(home: &Home) -> PathBuf {
    let row = |name: &str, cores: &str| {
        format!(
            "[[model]]\nname = \"{name}\"\npath = \"embedded:{name}.onnx\"\ncores = \"{cores}\"\n\
             threads = 1\nload = {{ kind = \"constant\", rate = 20 }}\n"
        )
    };
    let rows = [row(DEMO[0], "50%"), row(DEMO[1], "25%"), row(DEMO[2], "25%")];
    home.write("three.toml", format!("version = 1\n{}", rows.concat()))
}

/// Returns true if the cores pane can be read on this machine; prints the reason if not.
fn readable() -> bool {
    let online = std::thread::available_parallelism().map_or(1, usize::from);
    let fits = (2..32).contains(&online);
    if !fits {
        println!("skipped: it takes 2 to 31 cores to move one by its cell, here are {online}");
    }
    fits
}

/// Returns an exclusive core, its model, and another model that could receive it.
fn movable(session: &Session, cells: &[Cell]) -> (Cell, String, String) {
    let rows = models(&session.rows());
    let of = |cell: &Cell| rows.iter().find(|row| row.tag == cell.owner && row.split.is_some());
    let alone = cells.iter().filter(|cell| !cell.shared).filter_map(|cell| Some((cell, of(cell)?)));
    // prefer a model that has more than one
    let (cell, donor) = alone.max_by_key(|(_, row)| row.cores).unwrap();
    let other = rows.iter().find(|row| row.split.is_some() && row.name != donor.name).unwrap();
    (cell.clone(), donor.name.clone(), other.name.clone())
}

#[test]
fn layout_saves_after_moving_a_core() {
    if !readable() {
        return;
    }
    let home = Home::new();
    let layout = three_models(&home);
    let mut session = open(&home, &["--engine", "rten", layout.to_str().unwrap()]);
    let pid = session.pid();
    let cells = until_board(&mut session, 3);
    let (moved, donor, receiver) = movable(&session, &cells);
    let core = moved.core;
    let (before, given_before) = (cpus(pid, &receiver), cpus(pid, &donor));
    assert!(!before.contains(CoreId(core)) && given_before.contains(CoreId(core)));
    let row = model(&session.rows(), &receiver).unwrap();

    // by mouse, from the cores pane onto the row; the screen shows the effect before the drop
    session.press_and_carry(moved.place, row.place);
    session.until_text(&format!("{receiver} {} -> {} cores", row.cores, row.cores + 1));
    assert_eq!(cpus(pid, &receiver), before, "nothing happens before the drop");
    session.mouse(0, row.place, 'm');
    session.until("the core at its new owner", |rows| {
        let there = cell(rows, core).is_some_and(|cell| cell.owner == row.tag);
        (there && model(rows, &receiver)?.cores == row.cores + 1).then_some(())
    });
    until_all_on(pid, &receiver, with(before, core));
    let left = without(given_before, core);
    if left.is_empty() {
        session.until_text("paused without a core");
    } else {
        until_all_on(pid, &donor, left);
    }

    // and back
    session.send("u");
    session.until("the core at its old owner", |rows| {
        (cell(rows, core)?.owner == moved.owner && model(rows, &receiver)?.cores == row.cores)
            .then_some(())
    });
    until_all_on(pid, &receiver, before);
    until_all_on(pid, &donor, given_before);

    // by keys: the first model's row gives, the second gets
    let (first, second) = (model(&session.rows(), DEMO[0]), model(&session.rows(), DEMO[1]));
    let (first, second) = (first.unwrap(), second.unwrap());
    let before = cpus(pid, DEMO[1]);
    session.send("1 ");
    session.until_text("arrows or digits choose a row");
    session.send("\x1b[B");
    session.until_text(&format!("{} -> {} cores", second.cores, second.cores + 1));
    session.send("\r");
    session.until("one core more below", |rows| {
        (model(rows, DEMO[1])?.cores == second.cores + 1
            && model(rows, DEMO[0])?.cores == first.cores - 1)
            .then_some(())
    });
    until("one core more in the masks", || {
        let now = cpus(pid, DEMO[1]);
        (now.len() == before.len() + 1 && before.is_subset(&now)).then_some(())
    });
    session.send("u");
    session.until("as before", |rows| {
        (model(rows, DEMO[1])?.cores == second.cores && model(rows, DEMO[0])?.cores == first.cores)
            .then_some(())
    });
    until_all_on(pid, DEMO[1], before);

    // a step down frees a core, a step up takes it
    let number = DEMO.iter().position(|name| *name == donor).unwrap() + 1;
    let full = model(&session.rows(), &donor).unwrap().cores;
    session.send(&format!("{number}-"));
    if full == 1 {
        session.until_text("Take the last core");
        session.send("y");
    }
    session.until("a free core", |rows| {
        (model(rows, &donor)?.cores == full - 1 && model(rows, "free")?.cores == 1).then_some(())
    });
    session.send("+");
    session.until("no free core", |rows| {
        (model(rows, &donor)?.cores == full && model(rows, "free")?.cores == 0).then_some(())
    });
    until_all_on(pid, &donor, given_before);

    // instances: one more is one more thread
    let split = |rows: &[String]| model(rows, &donor)?.split;
    let (instances, _) = session.until("the donor's instances", split);
    session.send("\x1b[C+");
    session.until("one instance more", |rows| {
        (model(rows, &donor)?.split?.0 == instances + 1).then_some(())
    });
    // one thread per instance; a parked one may be there already
    until("a thread per instance", || (workers(pid, &donor).len() > instances).then_some(()));
    until_all_on(pid, &donor, given_before);

    // leaving asks, since this is not saved
    session.send("q");
    session.until_text("Question");
    session.send("n");
    session.until("the question gone", |rows| {
        (!rows.iter().any(|row| row.contains("Question"))).then_some(())
    });
    session.send("S");
    session.until_text("Save");
    session.send("\x15night\r");
    session.until_text("night saved to");
    let saved = home.path("layouts/night.toml");
    let layout = Layout::read(&saved, FileCheck::Required).unwrap().layout().clone();
    let names: Vec<&str> = layout.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, DEMO);
    session.send("q");
    let left = session.left();
    assert_eq!((left.code, left.signal.as_deref()), (0, None));
    left.assert_restored();

    // and what was saved is what opens again
    let mut session = open(&home, &["--engine", "rten", saved.to_str().unwrap()]);
    until_board(&mut session, 3);
    session.until("the saved instances", |rows| {
        (model(rows, &donor)?.split?.0 == instances + 1).then_some(())
    });
    session.send("q");
    session.left().assert_restored();
}

#[test]
fn selected_cores_drag_together() {
    if !readable() {
        return;
    }
    let home = Home::new();
    let layout = three_models(&home);
    let mut session = open(&home, &["--engine", "rten", layout.to_str().unwrap()]);
    let pid = session.pid();
    let cells = until_board(&mut session, 3);
    let (first, second) = (&cells[0], &cells[1]);
    let rows = models(&session.rows());
    let lacks = |name: &str, core: u16| !cpus(pid, name).contains(CoreId(core));
    let wanting = |row: &&Row| lacks(&row.name, first.core) || lacks(&row.name, second.core);
    let row = rows.iter().filter(|row| row.split.is_some()).find(wanting).unwrap();
    let before = cpus(pid, &row.name);
    // ctrl and click, as terminals send it
    for cell in [first, second] {
        session.mouse(16, cell.place, 'M');
        session.mouse(16, cell.place, 'm');
    }
    session.until_text("a drag moves them all");
    session.drag(second.place, row.place);
    session.until_text("in force in");
    until_all_on(pid, &row.name, with(with(before, first.core), second.core));
    session.send("u");
    until_all_on(pid, &row.name, before);
    // and by keys: shift and an arrow, as terminals send it
    session.send("\t");
    for _ in 0..cells.len() {
        session.send("\x1b[D");
    }
    session.send("\x1b[1;2C ");
    session.until_text("arrows or digits choose a row");
    let number = rows.iter().position(|other| other.name == row.name).unwrap() + 1;
    session.send(&format!("{number}\r"));
    until_all_on(pid, &row.name, with(with(before, first.core), second.core));
    session.send("qd");
    session.left().assert_restored();
}

#[test]
fn keys_in_one_write_each_take_effect() {
    let home = Home::new();
    let mut session = open_quiet(&home);
    let row = model(&session.rows(), "ranker").unwrap();
    let instances = row.split.unwrap().0;
    let rows = session.rows();
    let title = rows.iter().find_map(|line| line.split_once("busy")).unwrap().0;
    let column = title.chars().count() + 1;
    // three steps of the wheel with ctrl over the instances, in one write
    session.send(&format!("\x1b[<80;{column};{}M", row.place.1 + 1).repeat(3));
    session.until("three instances more", |rows| {
        (model(rows, "ranker")?.split?.0 == instances + 3).then_some(())
    });
    session.send("pp");
    session.until_text("resumed");
    session.send(&format!("1l{}+", "+-".repeat(250)));
    session.until("one instance more", |rows| {
        (model(rows, "ranker")?.split?.0 == instances + 4).then_some(())
    });
    session.send("qd");
    session.left().assert_restored();
    let mut journal = home.divvy();
    journal.args(["journal", "--last", "1000"]);
    let journal = home.run(journal).out;
    // those of the wheel, and each key
    assert_eq!(journal.matches("instances").count(), 3 + 501, "{journal}");
}

/// The layout of real models, where `scripts/real-models` has fetched them; says so where not.
fn real() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if root.join("models/expected").is_dir() {
        return Some(root.join("layouts/real.toml"));
    }
    let why = "models/ is not there; `scripts/real-models` fetches it";
    assert!(std::env::var_os("DIVVY_REQUIRE_REAL").is_none_or(|it| it != "1"), "{why}");
    println!("skipped: {why}");
    None
}

#[test]
fn real_models_answer_during_a_core_drag() {
    let Some(layout) = real().filter(|_| readable()) else { return };
    let home = Home::new();
    let mut session = open(&home, &[layout.to_str().unwrap()]);
    let pid = session.pid();
    let cells = until_board(&mut session, 5);
    // all of them have been loaded, and have threads
    // (the kernel has room for the longest name only without the instance's number)
    let names = ["magika", "speech", "ocr-detection", "ocr-direction"];
    until("models at work", || {
        names.iter().all(|name| !workers(pid, name).is_empty()).then_some(())
    });
    let rows = models(&session.rows());
    let lacks = |name: &str, core: u16| !cpus(pid, name).contains(CoreId(core));
    let pairs = cells.iter().flat_map(|cell| rows.iter().map(move |row| (cell, row)));
    let (moved, receiver) = pairs
        .filter(|(_, row)| names.contains(&row.name.as_str()))
        .find(|(cell, row)| lacks(&row.name, cell.core))
        .unwrap();
    let before = cpus(pid, &receiver.name);
    session.drag(moved.place, receiver.place);
    until_all_on(pid, &receiver.name, with(before, moved.core));
    session.until_text("in force in");
    session.send("u");
    until_all_on(pid, &receiver.name, before);
    // the verdict's question, and answers meanwhile
    session.send("d");
    session.until("answers of the selected model", |rows| {
        let ended = rows.iter().find(|row| row.contains(" completed,"))?;
        let count: u64 = ended.split_whitespace().find_map(|word| word.parse().ok())?;
        (count > 0).then_some(())
    });
    session.send("q");
    let left = session.left();
    assert_eq!(left.code, 0);
    left.assert_restored();
}

#[test]
fn typed_load_is_applied() {
    let home = Home::new();
    let mut session = open_quiet(&home);
    let keys = demo().unwrap().layout().models[0].row_keys().unwrap();
    session.send("e");
    session.until_text("keys of its row");
    // the board beneath has a chosen row too
    let pointed = |rows: &[String]| {
        let chosen = rows.iter().flat_map(|row| row.split("▸ ").skip(1));
        let mut words = chosen.filter_map(|rest| rest.split_whitespace().next());
        words.find(|word| keys.iter().any(|key| key.name == *word)).map(str::to_owned)
    };
    let mut at = session.until("a chosen key", pointed);
    while at != "load" {
        // one step, and then where it leads: not faster than the console answers
        session.send("\x1b[B");
        at = session.until("the next key", |rows| pointed(rows).filter(|now| *now != at));
    }
    session.send("\r\x15{ kind = \"closed\", clients = many }");
    session.until_text("not TOML");
    session.send("\x15{ kind = \"closed\", clients = 2 }");
    session.until_text("ranker load closed, 2 clients");
    session.send("\r");
    session.until_text("in force in");
    session.send("\x1b");
    session.until("the board alone", |rows| pointed(rows).is_none().then_some(()));
    session.send("s");
    session.until_text("quiet saved to");
    let layout =
        Layout::read(&home.path("quiet.toml"), FileCheck::Required).unwrap().layout().clone();
    let load = LoadSpec::Closed { clients: 2, think: std::time::Duration::ZERO };
    assert_eq!(layout.models[0].load, Some(load));
    session.send("q");
    session.left().assert_restored();
}
