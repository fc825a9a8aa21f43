//! Tests of the journal files: round trips, torn lines, rotation and unwritable folders.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::layout::{Edit, demo};
use crate::telemetry::{
    Author, ChangeStatus, Comparison, Conditions, JournalChannel, JournalEntry, JournalSender,
    Metric, Verdict, VerdictStatus, text,
};

/// Maximum wait for a result, generous for busy machines. Only a failing test waits this long.
const TIMEOUT: Duration = Duration::from_secs(30);

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
        status: ChangeStatus::InForce,
        built_us: None,
        undone: false,
        undoes: None,
        redoes: None,
        verdicts: vec![Verdict {
            model: "detector".to_owned(),
            status: VerdictStatus::Open,
            samples_before: 1,
            samples_after: 0,
            counted: crate::telemetry::SampleKind::default(),
            comparisons: Vec::new(),
        }],
    }
}

/// A running writer and the ends that a test uses.
struct TestWriter {
    writer: JournalWriter,
    entries: JournalSender,
    conditions: Conditions,
}

fn start(folder: &Path, id: &str, rotate_at: u64) -> TestWriter {
    let channel = JournalChannel::default();
    start_with(folder, (id, rotate_at), channel)
}

fn start_with(folder: &Path, (id, rotate_at): (&str, u64), channel: JournalChannel) -> TestWriter {
    let conditions = Conditions::default();
    let run = Run { id: id.to_owned(), layout: "demo".to_owned(), ..Run::default() };
    let options = WriterOptions {
        rotate_at,
        again: Duration::from_millis(5),
        ..WriterOptions::new(folder.to_path_buf(), run, conditions.clone())
    };
    let JournalChannel { sender: entries, receiver } = channel;
    TestWriter { writer: JournalWriter::start(options, receiver).unwrap(), entries, conditions }
}

impl TestWriter {
    fn finish(self) {
        drop(self.entries);
        assert!(self.writer.finish(TIMEOUT));
    }
}

fn write(folder: &Path, id: &str, entries: &[JournalEntry]) {
    let writer = start(folder, id, ROTATE_AT);
    for entry in entries {
        writer.entries.send(Arc::new(entry.clone()));
    }
    writer.finish();
}

fn wait_until(event: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !done() {
        assert!(Instant::now() < deadline, "timed out waiting for {event}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn later_line_replaces_earlier_entry() {
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
fn run_without_changes_has_a_header() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "quiet", &[]);
    let journal = read(folder.path()).unwrap();
    assert_eq!(journal.runs.len(), 1);
    assert_eq!(journal.runs[0].run.layout, "demo");
}

#[test]
fn torn_last_line_loses_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a", &[entry(1)]);
    let path = folder.path().join("journal.ndjson");
    let second = Record::Entry { run: "a".to_owned(), entry: Arc::new(entry(2)) }.line().unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&second.as_bytes()[..second.len() / 2]).unwrap();
    let journal = read(folder.path()).unwrap();
    assert_eq!(journal.runs[0].entries, [entry(1)]);
    assert_eq!(journal.warnings.len(), 1);
    assert!(journal.warnings[0].contains("torn"), "{:?}", journal.warnings);
    // the next run starts a new line after the torn one
    write(folder.path(), "b", &[entry(7)]);
    let journal = read(folder.path()).unwrap();
    assert_eq!(journal.runs[1].entries, [entry(7)]);
    assert_eq!(journal.warnings.len(), 1);
    assert!(journal.warnings[0].contains("line 3"), "{:?}", journal.warnings);
}

#[test]
fn rotation_keeps_a_bounded_number_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let writer = start(folder.path(), "a", 1);
    wait_until("the header", || folder.path().join("journal.ndjson").exists());
    for id in 1..=20 {
        writer.entries.send(Arc::new(entry(id)));
        let is_written = |id| {
            let journal = read(folder.path()).unwrap();
            journal.runs.iter().any(|run| run.entries.iter().any(|entry| entry.id == id))
        };
        wait_until("the entry", || is_written(id));
    }
    writer.finish();
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with("ndjson"))
        .collect();
    names.sort();
    let expected = ["journal.1.ndjson", "journal.2.ndjson", "journal.3.ndjson", "journal.ndjson"];
    assert_eq!(names, expected);
    let journal = read(folder.path()).unwrap();
    assert_eq!(journal.warnings, [""; 0]);
    // each file starts with the header, so the header outlives the first file
    assert_eq!(journal.runs[0].run.layout, "demo");
    let ids: Vec<u64> = journal.runs[0].entries.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [17, 18, 19, 20]);
}

#[test]
fn failed_write_is_retried_without_loss() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("state");
    fs::write(&blocked, "in the way").unwrap();
    let writer = start(&blocked, "a", ROTATE_AT);
    wait_until("the alert", || writer.conditions.alerts().len() == 1);
    let alert = writer.conditions.alerts()[0].text.clone();
    assert!(alert.contains("journal") && alert.contains("--state-dir"), "{alert}");
    writer.entries.send(Arc::new(entry(1)));
    fs::remove_file(&blocked).unwrap();
    wait_until("the alert to clear", || writer.conditions.alerts().is_empty());
    writer.finish();
    assert_eq!(read(&blocked).unwrap().runs[0].entries, [entry(1)]);
}

#[test]
fn missing_folder_has_an_empty_journal() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read(&folder.path().join("gone")).unwrap(), Journal::default());
}

#[test]
fn dropped_entries_raise_an_alert() {
    let folder = tempfile::tempdir().unwrap();
    let channel = JournalChannel::new(1);
    for id in 1..=3 {
        channel.sender.send(Arc::new(entry(id)));
    }
    let writer = start_with(folder.path(), ("a", ROTATE_AT), channel);
    wait_until("the alert", || !writer.conditions.alerts().is_empty());
    let alert = writer.conditions.alerts()[0].text.clone();
    assert!(alert.starts_with("2 changes"), "{alert}");
    writer.finish();
    assert_eq!(read(folder.path()).unwrap().runs[0].entries, [entry(1)]);
}
