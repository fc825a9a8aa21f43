//! The real binary with `--headless`: the demo and models from the command line, the reports, the
//! threads' CPU masks, and the exit.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use binary::{DIVVY, Home, RunOutput, mask, model, signal, threads};
use divvy::machine::CpuSet;
use divvy::telemetry::{ModelState, Snapshot};
use rustix::process::Signal;

const DEMO: [&str; 3] = ["detector", "embedder", "ranker"];

fn snapshots(text: &str) -> Vec<Snapshot> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the completed requests per model from the summary.
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

/// Runs for a short time, and for longer if a busy machine needs it.
fn with_enough_time<T>(mut run: impl FnMut(&str) -> Result<T, RunOutput>) -> T {
    let mut last = None;
    for time in ["1s", "5s", "25s"] {
        match run(time) {
            Ok(value) => return value,
            Err(run) => last = Some(run),
        }
    }
    panic!("a model completed no request: {last:?}");
}

/// Runs a command until each of the demo's models has completed requests.
fn demo_answers(home: &Home, command: impl Fn() -> Command) -> RunOutput {
    with_enough_time(|time| {
        let mut command = command();
        command.args(["--for", time]);
        let run = home.run(command);
        assert_eq!(run.status.code(), Some(0), "{run:?}");
        let completed = completed(&run.out);
        let found: Vec<&str> = completed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, DEMO, "{}", run.out);
        if completed.iter().all(|(_, count)| *count > 0) { Ok(run) } else { Err(run) }
    })
}

/// Runs the binary with `--json` until each model has completed requests.
fn json_of_answers(home: &Home, arguments: &[&str]) -> (Vec<Snapshot>, RunOutput) {
    with_enough_time(|time| {
        let mut divvy = home.divvy();
        divvy.args(arguments).args(["--headless", "--json", "--for", time]);
        let run = home.run(divvy);
        assert_eq!(run.status.code(), Some(0), "{run:?}");
        let snapshots = snapshots(&run.out);
        let last = snapshots.last().unwrap();
        let all = last.models.iter().all(|model| model.counts.completed > 0);
        if all { Ok((snapshots, run)) } else { Err(run) }
    })
}

#[test]
fn demo_serves_three_models() {
    let home = Home::new();
    let run = demo_answers(&home, || {
        let mut divvy = home.divvy();
        divvy.arg("--headless");
        divvy
    });
    assert!(run.out.contains("none lost"), "{}", run.out);
}

#[test]
fn json_snapshots_have_balanced_counts() {
    let home = Home::new();
    let (snapshots, run) = json_of_answers(&home, &["--interval", "100ms"]);
    assert!(snapshots.len() > 1, "{}", run.out);
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
        // a request is counted and timed one after the other
        let apart = model.run.total.count.abs_diff(model.counts.completed);
        assert!(apart <= model.actual.threads.len() as u64, "{apart}: {model:?}");
    }
    assert_eq!(completed(&run.err).len(), 3, "the summary goes to standard error: {}", run.err);
}

#[test]
fn reports_without_a_terminal() {
    let home = Home::new();
    let run = demo_answers(&home, || home.divvy());
    assert!(run.err.contains("not a terminal"), "{}", run.err);
}

#[test]
fn kernel_confines_model_threads_to_cores() {
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
            model.actual.threads.iter().map(|thread| thread.id.tid.cast_unsigned()).collect();
        for thread in &workers {
            assert_eq!(mask(child.id(), *thread), Some(model.row.cores), "{own}: {thread}");
        }
        // every thread with the model's name is in the snapshot
        let named = names.iter().filter(|(_, name)| name.starts_with(&format!("{own}/")));
        let named: Vec<u32> = named.map(|(thread, _)| *thread).collect();
        assert!(!named.is_empty(), "{names:?}");
        assert!(named.iter().all(|thread| workers.contains(thread)), "{own}: {names:?}");
    }
    signal(child.id(), Signal::INT);
    // a full pipe must not block the exit
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let last: Snapshot = serde_json::from_str(rest.last().unwrap()).unwrap();
    assert!(last.models.iter().all(|model| model.counts.balanced()));
    assert_eq!(binary::wait_for_exit(&mut child).code(), Some(0));
}

/// A line of the text report: the end of its span, the model, and its completed requests.
fn report_lines(out: &str) -> Vec<(String, String, u64)> {
    let report = out.split("\nwhole run").next().unwrap();
    report
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim_start().starts_with("time"))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let done = words[6].replace(',', "").parse().unwrap();
            (words[0].to_owned(), words[1].to_owned(), done)
        })
        .collect()
}

#[test]
fn text_reports_add_up_to_the_summary() {
    let home = Home::new();
    let mut divvy = home.divvy();
    divvy.args(["--headless", "--engine", "rten", "--interval", "500ms", "--for", "3s"]);
    let run = home.run(divvy);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let lines = report_lines(&run.out);
    for (name, completed) in completed(&run.out) {
        let own = lines.iter().filter(|(_, model, _)| *model == name);
        let times: Vec<&String> = own.clone().map(|(time, _, _)| time).collect();
        let distinct: std::collections::BTreeSet<&String> = times.iter().copied().collect();
        assert_eq!(distinct.len(), times.len(), "no span twice: {}", run.out);
        assert_eq!(own.map(|(_, _, done)| done).sum::<u64>(), completed, "{name}: {}", run.out);
    }
}

#[test]
fn json_reports_add_up() {
    let home = Home::new();
    let mut divvy = home.divvy();
    let arguments = ["--headless", "--engine", "rten", "--json", "--interval", "300ms"];
    divvy.args(arguments).args(["--for", "2s"]);
    let run = home.run(divvy);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let reports: Vec<serde_json::Value> =
        run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(reports.len() > 2, "{}", run.out);
    let mut end = 0;
    for report in &reports {
        assert_eq!(report["report"]["from_us"], end);
        end = report["report"]["to_us"].as_u64().unwrap();
        assert_eq!(report["uptime_us"], end);
    }
    for (at, model) in reports.last().unwrap()["models"].as_array().unwrap().iter().enumerate() {
        let in_span = |report: &serde_json::Value| {
            report["report"]["models"][at]["completed"].as_u64().unwrap()
        };
        assert_eq!(model["counts"]["completed"], reports.iter().map(in_span).sum::<u64>());
    }
}

#[test]
fn summary_shortens_a_long_list_of_models() {
    let home = Home::new();
    let rows: Vec<String> = (0..40)
        .map(|number| {
            format!(
                "[[model]]\nname = \"m{number}\"\npath = \"embedded:ranker.onnx\"\ncores = 1\n\
                 load = {{ kind = \"poisson\", rate = 1 }}\n"
            )
        })
        .collect();
    let rows = rows.concat();
    home.write("many.toml", format!("version = 1\n{rows}"));
    let mut divvy = home.divvy();
    divvy.args(["many.toml", "--headless", "--engine", "rten", "--for", "200ms"]);
    let run = home.run(divvy);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert!(run.out.contains("synthetic load: all 40 models"), "{}", run.out);
    for line in run.err.lines() {
        assert!(!line.contains("m7, m8, m9, m10"), "{line}");
    }
}

#[test]
fn signal_ends_run_with_summary() {
    for stop in [Signal::INT, Signal::TERM] {
        let home = Home::new();
        let mut divvy = home.divvy();
        divvy.args(["--headless", "--interval", "100ms"]);
        let child = divvy.spawn().unwrap();
        let line =
            || fs::read_to_string(home.path("out")).ok().filter(|text| text.contains("ranker"));
        binary::until("a line of the report", line);
        signal(child.id(), stop);
        let run = home.end(child);
        assert_eq!(run.status.code(), Some(0), "{stop:?}: {run:?}");
        assert_eq!(completed(&run.out).len(), 3, "{stop:?}: {}", run.out);
    }
}

#[test]
fn closed_pipe_ends_run_quietly() {
    for json in [&[][..], &["--json"][..]] {
        let home = Home::new();
        let mut divvy = home.divvy();
        divvy.args(["--headless", "--interval", "100ms"]).args(json).stdout(Stdio::piped());
        let mut child = divvy.spawn().unwrap();
        let first = BufReader::new(child.stdout.take().unwrap()).lines().next();
        assert!(!first.unwrap().unwrap().is_empty());
        let run = home.end(child);
        assert_eq!(run.status.code(), Some(0), "{run:?}");
        for word in ["panic", "roken pipe", "os error"] {
            assert!(!run.err.contains(word), "{}", run.err);
        }
    }
}

#[test]
fn named_models_share_cores_evenly() {
    let home = Home::new();
    let paths = [model("detector"), model("ranker")];
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let (snapshots, run) = json_of_answers(&home, &paths);
    let [detector, ranker] = &snapshots.last().unwrap().models[..] else {
        panic!("not two models: {}", run.out)
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
fn binary_runs_without_other_files() {
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
fn bad_model_of_a_layout_fails_alone() {
    let home = Home::new();
    home.write("damaged.onnx", "no model");
    let row = |name: &str, path: &str| {
        format!(
            "[[model]]\nname = \"{name}\"\npath = \"{path}\"\ncores = 1\nload = {{ kind = \"closed\", clients = 1 }}\n"
        )
    };
    let rows = [
        row("good", "embedded:ranker.onnx"),
        row("damaged", "damaged.onnx"),
        row("missing", "missing.onnx"),
    ];
    home.write("layout.toml", "version = 1\n".to_owned() + &rows.concat());
    let run = |arguments: &[&str]| {
        let mut command = home.divvy();
        command.args(["layout.toml", "--headless", "--for", "500ms", "--engine", "rten"]);
        command.args(arguments);
        home.run(command)
    };
    let lenient = run(&[]);
    assert_eq!(lenient.status.code(), Some(1), "{lenient:?}");
    assert!(lenient.err.contains("2 of 3 models cannot be loaded"), "{}", lenient.err);
    assert!(lenient.out.contains("damaged failed:"), "{}", lenient.out);
    assert!(!lenient.out.contains("good failed:"), "{}", lenient.out);
    let strict = run(&["--strict"]);
    assert_eq!(strict.status.code(), Some(2), "{strict:?}");
    for fault in ["damaged.onnx", "missing.onnx"] {
        assert!(strict.err.contains(fault), "{}", strict.err);
    }
}

#[test]
fn cores_option_limits_cpus() {
    let home = Home::new();
    let last = CpuSet::single(binary::allowed().iter().last().unwrap());
    let mut divvy = home.divvy();
    divvy.args(["--headless", "--for", "1s", "--json", "--cores", &last.to_string()]);
    let run = home.run(divvy);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    for model in &snapshots(&run.out).last().unwrap().models {
        assert_eq!(model.row.cores, last);
        assert!(model.actual.threads.iter().all(|thread| thread.allowed == last), "{model:?}");
    }
}
