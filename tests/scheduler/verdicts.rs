//! Verdicts open with a change, and close when their window is full or cut.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use divvy::layout::Edit;
use divvy::scheduler::{Control, VerdictWindows};
use divvy::telemetry::{JournalChannel, JournalEntry, Metric, VerdictStatus};

use super::test_scheduler::*;

fn start(length: Duration) -> TestScheduler {
    let models = vec![row("busy", "0-1"), row("quiet", "2")];
    let test =
        TestScheduler::start_with(3, models, &["busy".to_owned(), "quiet".to_owned()], |options| {
            options.windows =
                VerdictWindows { length, shortest: length / 3, settle: Duration::from_millis(20) };
        });
    test.until("busy", |view| view.actual.active == 2);
    test.until("quiet", |view| view.actual.active == 1);
    test.scripts.of("busy").sleep_ns.store(500_000, Ordering::SeqCst);
    test
}

fn entry(test: &TestScheduler, id: u64) -> Arc<JournalEntry> {
    test.scheduler.journal().into_iter().find(|entry| entry.id == id).unwrap()
}

fn status(test: &TestScheduler, id: u64, model: &str) -> VerdictStatus {
    entry(test, id).verdicts.iter().find(|verdict| verdict.model == model).unwrap().status
}

#[test]
fn verdict_is_done_when_its_window_is_full() {
    let test = start(Duration::from_millis(1500));
    let answers = Arc::new(Answers::default());
    test.scripts.of("busy").sleep_ns.store(2_000_000, Ordering::SeqCst);
    // Fill the window before, also on a busy machine.
    let begun = std::time::Instant::now();
    test.wait("the window before", || {
        test.top_up("busy", &answers);
        begun.elapsed() > Duration::from_millis(1500) && answers.answered() > 400
    });
    let first = test.apply(concurrency("busy", 1)).id;
    let quiet = test.apply(concurrency("quiet", 2)).id;
    test.wait("the windows", || {
        test.top_up("busy", &answers);
        status(&test, first, "busy") != VerdictStatus::Open
            && status(&test, quiet, "quiet") != VerdictStatus::Open
    });
    let verdict = entry(&test, first).verdicts[0].clone();
    assert_eq!(verdict.status, VerdictStatus::Done, "{verdict:?}");
    assert!(verdict.samples_before > 0 && verdict.samples_after > 0, "{verdict:?}");
    assert!(verdict.comparisons.iter().all(|c| c.low <= c.high && c.before > 0.0));
    assert_eq!(status(&test, quiet, "quiet"), VerdictStatus::NotEnough);
}

#[test]
fn later_change_supersedes_a_verdict() {
    let test = start(Duration::from_mins(10));
    let first = test.apply(concurrency("busy", 1)).id;
    assert_eq!(status(&test, first, "busy"), VerdictStatus::Open);
    let second = test.apply(concurrency("busy", 2)).id;
    assert_eq!(status(&test, first, "busy"), VerdictStatus::Superseded);
    assert_eq!(status(&test, second, "busy"), VerdictStatus::Open);
}

#[test]
fn stop_closes_open_verdicts() {
    let JournalChannel { sender, receiver } = JournalChannel::default();
    let test =
        TestScheduler::start_with(2, vec![row("a", "0"), row("b", "1")], &both(), |options| {
            options.journal = Some(sender);
            options.windows = VerdictWindows {
                length: Duration::from_mins(10),
                shortest: Duration::from_millis(300),
                settle: Duration::ZERO,
            };
        });
    for name in ["a", "b"] {
        test.until(name, |view| view.actual.active == 1 && warm(view));
    }
    let answers = Arc::new(Answers::default());
    test.scripts.of("a").sleep_ns.store(1_000_000, Ordering::SeqCst);
    let feed = |what: &str, from: std::time::Instant| {
        let enough = answers.answered() + 100;
        test.wait(what, || {
            test.top_up("a", &answers);
            from.elapsed() > Duration::from_millis(400) && answers.answered() > enough
        });
    };
    feed("the window before", std::time::Instant::now());
    let done = test.apply(concurrency("a", 2)).id;
    feed("the window after", std::time::Instant::now());
    let short = test.apply(concurrency("b", 2)).id;
    test.scheduler.stop(PATIENCE).unwrap();
    drop(test);
    let mut newest = BTreeMap::new();
    while let Ok(entry) = receiver.recv() {
        newest.insert(entry.id, entry);
    }
    assert_eq!(newest[&done].verdicts[0].status, VerdictStatus::Done, "{:?}", newest[&done]);
    assert_eq!(newest[&short].verdicts[0].status, VerdictStatus::NotEnough);
}

fn both() -> Vec<String> {
    vec!["a".to_owned(), "b".to_owned()]
}

#[test]
fn pause_has_a_verdict_about_its_rate() {
    let test = start(Duration::from_millis(1500));
    let answers = Arc::new(Answers::default());
    let begun = std::time::Instant::now();
    test.wait("the window before", || {
        test.top_up("busy", &answers);
        begun.elapsed() > Duration::from_millis(1500) && answers.answered() > 400
    });
    let paused = test.apply(Edit::Pause { model: "busy".to_owned(), paused: true }).id;
    test.wait("the window", || status(&test, paused, "busy") != VerdictStatus::Open);
    let verdict = entry(&test, paused).verdicts[0].clone();
    let [rate] = verdict.comparisons.as_slice() else { panic!("{verdict:?}") };
    assert_eq!((rate.metric, rate.after, rate.clear), (Metric::Throughput, 0.0, true));
    let text = divvy::telemetry::text::verdict_clause(&verdict, "->").0;
    assert!(text.starts_with("busy done ") && text.ends_with(" -> 0.0 /s (-100%)"), "{text}");
}
