//! The real binary without a terminal: it runs the demo and models from the command line, reports
//! what adds up, keeps threads where the kernel shows them, and ends as it should.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use binary::{DIVVY, Ended, Home, mask, model, signal, threads};
use divvy::machine::CpuSet;
use divvy::telemetry::{ModelState, Snapshot};
use rustix::process::Signal;

const DEMO: [&str; 3] = ["detector", "embedder", "ranker"];

fn snapshots(text: &str) -> Vec<Snapshot> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Completed requests of each model, read from the closing table.
fn completed(summary: &str) -> Vec<(String, u64)> {
    let table = summary.split("whole run:").nth(1).unwrap_or_else(|| panic!("no table: {summary}"));
    let mut lines = table.lines().skip(1);
    let titles: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(titles[..2], ["model", "completed"]);
    lines
        .map_while(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
        })
        .filter(|(name, _)| !name.chars().all(|letter| letter.is_ascii_digit()))
        .collect()
}

/// Runs for a short time, and for longer where a busy machine leaves too little of it.
fn for_long_enough<T>(mut run: impl FnMut(&str) -> Result<T, Ended>) -> T {
    let mut last = None;
    for time in ["1s", "5s", "25s"] {
        match run(time) {
            Ok(seen) => return seen,
            Err(ended) => last = Some(ended),
        }
    }
    panic!("no model may be left without an answer: {last:?}");
}

/// Runs a command until each of the demo's models has completed requests; how it ended.
fn demo_answers(home: &Home, command: impl Fn() -> Command) -> Ended {
    for_long_enough(|time| {
        let mut command = command();
        command.args(["--for", time]);
        let ended = home.run(command);
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let completed = completed(&ended.out);
        let found: Vec<&str> = completed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, DEMO, "{}", ended.out);
        if completed.iter().all(|(_, count)| *count > 0) { Ok(ended) } else { Err(ended) }
    })
}

/// Runs the binary with `--json` until each model has completed requests; the snapshots.
fn json_of_answers(home: &Home, arguments: &[&str]) -> (Vec<Snapshot>, Ended) {
    for_long_enough(|time| {
        let mut divvy = home.divvy();
        divvy.args(arguments).args(["--headless", "--json", "--for", time]);
        let ended = home.run(divvy);
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let snapshots = snapshots(&ended.out);
        let last = snapshots.last().unwrap();
        let all = last.models.iter().all(|model| model.counts.completed > 0);
        if all { Ok((snapshots, ended)) } else { Err(ended) }
    })
}

#[test]
fn the_demo_answers_requests_of_three_models() {
    let home = Home::new();
    let ended = demo_answers(&home, || {
        let mut divvy = home.divvy();
        divvy.arg("--headless");
        divvy
    });
    assert!(ended.out.contains("none lost"), "{}", ended.out);
}

#[test]
fn each_json_line_is_a_snapshot_whose_counts_add_up() {
    let home = Home::new();
    let (snapshots, ended) = json_of_answers(&home, &["--interval", "100ms"]);
    assert!(snapshots.len() > 1, "{}", ended.out);
    for snapshot in &snapshots {
        assert_eq!(snapshot.version, snapshots[0].version);
        assert!(!snapshot.simulated);
        for model in &snapshot.models {
            assert!(model.counts.balanced(), "{:?}", model.counts);
            assert!(!model.actual.cores.is_empty());
        }
    }
    for pair in snapshots.windows(2) {
        assert!(pair[0].sequence <= pair[1].sequence);
        for (before, after) in pair[0].models.iter().zip(&pair[1].models) {
            assert!(before.counts.completed <= after.counts.completed);
            assert!(before.counts.submitted <= after.counts.submitted);
        }
    }
    let last = snapshots.last().unwrap();
    let names: Vec<&str> = last.models.iter().map(|model| model.row.budget.name.as_str()).collect();
    assert_eq!(names, DEMO);
    for model in &last.models {
        // counted and timed by the instance's thread one after the other
        let apart = model.run.total.count.abs_diff(model.counts.completed);
        assert!(apart <= model.actual.threads.len() as u64, "{apart}: {model:?}");
    }
    assert_eq!(completed(&ended.err).len(), 3, "the table goes beside the JSON: {}", ended.err);
}

#[test]
fn without_a_terminal_it_reports_and_says_so() {
    let home = Home::new();
    let ended = demo_answers(&home, || home.divvy());
    assert!(ended.err.contains("no terminal"), "{}", ended.err);
}

#[test]
fn the_kernel_allows_each_thread_of_a_model_on_its_cores_and_no_others() {
    let home = Home::new();
    let mut divvy = home.divvy();
    divvy.args(["--headless", "--json", "--interval", "100ms"]).stdout(Stdio::piped());
    let mut child = divvy.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let answering = |snapshot: &Snapshot| {
        snapshot
            .models
            .iter()
            .all(|model| model.state == ModelState::Running && model.counts.completed > 0)
    };
    let snapshot: Snapshot = lines
        .by_ref()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .find(answering)
        .expect("three models answer");
    let names = threads(child.id());
    for model in &snapshot.models {
        let own = &model.row.budget.name;
        assert_eq!(model.actual.difference, None);
        let workers: Vec<u32> =
            model.actual.threads.iter().map(|thread| thread.id.0.cast_unsigned()).collect();
        for thread in &workers {
            assert_eq!(mask(child.id(), *thread), Some(model.row.cores), "{own}: {thread}");
        }
        // none that carries the model's name is left out of the account
        let named = names.iter().filter(|(_, name)| name.starts_with(&format!("{own}/")));
        let named: Vec<u32> = named.map(|(thread, _)| *thread).collect();
        assert!(!named.is_empty(), "{names:?}");
        assert!(named.iter().all(|thread| workers.contains(thread)), "{own}: {names:?}");
    }
    signal(child.id(), Signal::INT);
    // an unread pipe must not hold it up
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let last: Snapshot = serde_json::from_str(rest.last().unwrap()).unwrap();
    assert!(last.models.iter().all(|model| model.counts.balanced()));
    assert_eq!(binary::ended(&mut child).code(), Some(0));
}

#[test]
fn a_signal_ends_it_with_the_table() {
    for stop in [Signal::INT, Signal::TERM, Signal::HUP] {
        let home = Home::new();
        let mut divvy = home.divvy();
        divvy.args(["--headless", "--interval", "100ms"]);
        let child = divvy.spawn().unwrap();
        let line =
            || fs::read_to_string(home.path("out")).ok().filter(|text| text.contains("ranker"));
        binary::until("a line of the report", line);
        signal(child.id(), stop);
        let ended = home.end(child);
        assert_eq!(ended.status.code(), Some(0), "{stop:?}: {ended:?}");
        assert_eq!(completed(&ended.out).len(), 3, "{stop:?}: {}", ended.out);
    }
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    for json in [&[][..], &["--json"][..]] {
        let home = Home::new();
        let mut divvy = home.divvy();
        divvy.args(["--headless", "--interval", "100ms"]).args(json).stdout(Stdio::piped());
        let mut child = divvy.spawn().unwrap();
        let first = BufReader::new(child.stdout.take().unwrap()).lines().next();
        assert!(!first.unwrap().unwrap().is_empty());
        let ended = home.end(child);
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        for word in ["panic", "roken pipe", "os error"] {
            assert!(!ended.err.contains(word), "{}", ended.err);
        }
    }
}

#[test]
fn models_from_the_command_line_share_the_machine_evenly() {
    let home = Home::new();
    let paths = [model("detector"), model("ranker")];
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let (snapshots, ended) = json_of_answers(&home, &paths);
    let [detector, ranker] = &snapshots.last().unwrap().models[..] else {
        panic!("not two models: {}", ended.out)
    };
    for model in [detector, ranker] {
        assert!(model.load.is_some());
    }
    let (a, b): (CpuSet, CpuSet) = (detector.row.cores, ranker.row.cores);
    assert!(a.len().abs_diff(b.len()) <= 1, "{a} and {b}");
    if binary::allowed().len() > 1 {
        assert!(a.intersection(&b).is_empty(), "{a} and {b}");
    }
}

#[test]
fn the_binary_alone_runs_the_demo_from_anywhere() {
    let home = Home::new();
    let copy = home.path("moved");
    fs::copy(DIVVY, &copy).unwrap();
    demo_answers(&home, || {
        let mut divvy = home.command(&copy);
        divvy.arg("--headless");
        divvy
    });
}

#[test]
fn only_the_cpus_that_were_named_are_used() {
    let home = Home::new();
    let last = CpuSet::single(binary::allowed().iter().last().unwrap());
    let mut divvy = home.divvy();
    divvy.args(["--headless", "--for", "1s", "--json", "--cores", &last.to_string()]);
    let ended = home.run(divvy);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    for model in &snapshots(&ended.out).last().unwrap().models {
        assert_eq!(model.row.cores, last);
        assert!(model.actual.threads.iter().all(|thread| thread.allowed == last), "{model:?}");
    }
}
