//! Verdicts open with a change, and close when their window is full or cut.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use divvy::scheduler::{Control, VerdictWindows};
use divvy::telemetry::{Entry, VerdictStatus};

use super::rig::*;

fn start() -> Rig {
    let models = vec![row("busy", "0-1"), row("quiet", "2")];
    let rig = Rig::start_with(3, models, &["busy".to_owned(), "quiet".to_owned()], |options| {
        options.windows = VerdictWindows {
            length: Duration::from_millis(600),
            shortest: Duration::from_millis(200),
            settle: Duration::from_millis(20),
        };
    });
    rig.until("busy", |view| view.actual.active == 2);
    rig.until("quiet", |view| view.actual.active == 1);
    rig.scripts.of("busy").sleep_ns.store(500_000, Ordering::SeqCst);
    rig
}

fn entry(rig: &Rig, id: u64) -> Entry {
    rig.scheduler.journal().into_iter().find(|entry| entry.id == id).unwrap()
}

fn status(rig: &Rig, id: u64, model: &str) -> VerdictStatus {
    entry(rig, id).verdicts.iter().find(|verdict| verdict.model == model).unwrap().status
}

#[test]
fn a_verdict_is_open_and_then_done_or_says_that_it_has_too_little() {
    let rig = start();
    let answers = Arc::new(Answers::default());
    rig.submit("busy", 6000, &answers);
    let from = rig.until("busy", |view| view.counts.completed > 400).counts.completed;
    rig.until("busy", |view| view.counts.completed > from + 400);
    let first = rig.apply(concurrency("busy", 1)).id;
    let quiet = rig.apply(concurrency("quiet", 2)).id;
    assert_eq!(status(&rig, first, "busy"), VerdictStatus::Open);
    rig.wait("the windows", || {
        status(&rig, first, "busy") != VerdictStatus::Open
            && status(&rig, quiet, "quiet") != VerdictStatus::Open
    });
    let verdict = entry(&rig, first).verdicts.pop().unwrap();
    assert_eq!(verdict.status, VerdictStatus::Done, "{verdict:?}");
    assert!(verdict.samples_before > 100 && verdict.samples_after > 100, "{verdict:?}");
    assert!(verdict.comparisons.iter().all(|c| c.low <= c.high && c.before > 0.0));
    assert_eq!(status(&rig, quiet, "quiet"), VerdictStatus::NotEnough);
}

#[test]
fn a_change_soon_after_supersedes_a_verdict() {
    let rig = start();
    let first = rig.apply(concurrency("busy", 1)).id;
    let second = rig.apply(concurrency("busy", 2)).id;
    assert_eq!(status(&rig, first, "busy"), VerdictStatus::Superseded);
    assert_eq!(status(&rig, second, "busy"), VerdictStatus::Open);
}
