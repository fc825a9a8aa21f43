//! The journal survives torn lines, rotation, and a folder that cannot be written.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use super::*;
use crate::layout::{Edit, demo};
use crate::telemetry::{
    Author, Comparison, Conditions, JournalEntry, Metric, Verdict, VerdictStatus, text,
};

/// Long enough for anything on a busy machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

fn entry(id: u64) -> JournalEntry {
    let layout = Box::new(demo().unwrap().layout().clone());
    JournalEntry {
        id,
        at_unix_ms: 1_700_000_000_000 + id,
        uptime_us: id,
        author: Author::Console,
        change: Edit::Load { layout }.into(),
        summary: format!("change {id}"),
        warnings: vec!["a warning".to_owned()],
        models: vec!["detector".to_owned()],
        force_us: 41,
        undone: false,
        undoes: None,
        redoes: None,
        verdicts: vec![Verdict {
            model: "detector".to_owned(),
            status: VerdictStatus::Open,
            samples_before: 1,
            samples_after: 0,
            comparisons: Vec::new(),
        }],
    }
}

struct Rig {
    writer: JournalWriter,
    entries: Sender<JournalEntry>,
    conditions: Conditions,
}

fn start(folder: &Path, id: &str, rotate_at: u64) -> Rig {
    let conditions = Conditions::default();
    let run = Run { id: id.to_owned(), layout: "demo".to_owned(), ..Run::default() };
    let options = WriterOptions {
        rotate_at,
        again: Duration::from_millis(5),
        ..WriterOptions::new(folder.to_path_buf(), run, conditions.clone())
    };
    let (entries, receiver) = channel();
    Rig { writer: JournalWriter::start(options, receiver).unwrap(), entries, conditions }
}

impl Rig {
    fn finish(self) {
        drop(self.entries);
        assert!(self.writer.finish(PATIENCE));
    }
}

fn write(folder: &Path, id: &str, entries: &[JournalEntry]) {
    let rig = start(folder, id, ROTATE_AT);
    for entry in entries {
        rig.entries.send(entry.clone()).unwrap();
    }
    rig.finish();
}

fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_is_written_is_read_back_and_later_lines_take_the_place_of_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    let mut decided = entry(1);
    let clear = Comparison {
        metric: Metric::P99,
        before: 21_000.0,
        after: 14_200.0,
        change: -0.32,
        low: -0.4,
        high: f64::INFINITY,
        clear: true,
    };
    decided.verdicts[0].status = VerdictStatus::Done;
    decided.verdicts[0].comparisons = vec![clear];
    decided.undone = true;
    write(folder.path(), "a", &[entry(1), entry(2), decided.clone()]);
    write(folder.path(), "b", &[entry(1)]);
    let journal = read(folder.path()).unwrap();
    assert_eq!(journal.warnings, [""; 0]);
    let ids: Vec<&str> = journal.runs.iter().map(|run| run.run.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    let found = &journal.runs[0].entries;
    assert_eq!(found.len(), 2);
    assert_eq!(found[1], entry(2));
    assert!(found[0].undone);
    assert!(text::verdict_text(&found[0].verdicts[0]).contains("-40 %"));
    assert_eq!(journal.runs[1].entries, [entry(1)]);
}

#[test]
fn a_run_without_changes_has_a_header() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "quiet", &[]);
    let journal = read(folder.path()).unwrap();
    assert_eq!(journal.runs.len(), 1);
    assert_eq!(journal.runs[0].run.layout, "demo");
}

#[test]
fn a_torn_last_line_costs_itself_only() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a", &[entry(1)]);
    let path = folder.path().join("journal.ndjson");
    let half = Record::Entry { run: "a".to_owned(), entry: Box::new(entry(2)) }.line().unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&half.as_bytes()[..half.len() / 2]).unwrap();
    let journal = read(folder.path()).unwrap();
    assert_eq!(journal.runs[0].entries, [entry(1)]);
    assert_eq!(journal.warnings.len(), 1);
    assert!(journal.warnings[0].contains("torn"), "{:?}", journal.warnings);
    // the next run's lines do not stick to it
    write(folder.path(), "b", &[entry(7)]);
    let journal = read(folder.path()).unwrap();
    assert_eq!(journal.runs[1].entries, [entry(7)]);
    assert_eq!(journal.warnings.len(), 1);
    assert!(journal.warnings[0].contains("line 3"), "{:?}", journal.warnings);
}

#[test]
fn a_full_file_is_rotated_and_a_bounded_number_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), "a", 1);
    until("the header", || folder.path().join("journal.ndjson").exists());
    for id in 1..=20 {
        rig.entries.send(entry(id)).unwrap();
        let found = |id| {
            let journal = read(folder.path()).unwrap();
            journal.runs.iter().any(|run| run.entries.iter().any(|entry| entry.id == id))
        };
        until("the entry", || found(id));
    }
    rig.finish();
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with("ndjson"))
        .collect();
    names.sort();
    let all = ["journal.1.ndjson", "journal.2.ndjson", "journal.3.ndjson", "journal.ndjson"];
    assert_eq!(names, all);
    let journal = read(folder.path()).unwrap();
    assert_eq!(journal.warnings, [""; 0]);
    // each file begins with the header, so that it outlives the first one
    assert_eq!(journal.runs[0].run.layout, "demo");
    let ids: Vec<u64> = journal.runs[0].entries.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [17, 18, 19, 20]);
}

#[test]
fn a_folder_that_cannot_be_written_costs_one_warning_and_no_entry() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("state");
    fs::write(&blocked, "in the way").unwrap();
    let rig = start(&blocked, "a", ROTATE_AT);
    until("the trouble", || rig.conditions.alerts().len() == 1);
    let told = rig.conditions.alerts()[0].text.clone();
    assert!(told.contains("journal") && told.contains("--state-dir"), "{told}");
    rig.entries.send(entry(1)).unwrap();
    fs::remove_file(&blocked).unwrap();
    until("its end", || rig.conditions.alerts().is_empty());
    rig.finish();
    assert_eq!(read(&blocked).unwrap().runs[0].entries, [entry(1)]);
}

#[test]
fn a_folder_that_is_not_there_has_an_empty_journal() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read(&folder.path().join("gone")).unwrap(), Journal::default());
}
