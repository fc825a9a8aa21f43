//! Another width of the instances is built beside the old ones.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use divvy::layout::Auto;
use divvy::scheduler::Control;
use divvy::telemetry::{Author, ModelState};

use super::rig::*;

#[test]
fn the_old_width_serves_until_the_new_one_is_warm() {
    let rig = Rig::start(4, vec![row("m", "0-3")]);
    let script = rig.scripts.of("m");
    script.sleep_ns.store(1_000_000, Ordering::SeqCst);
    script.build_ns.store(700_000_000, Ordering::SeqCst);
    let answers = Arc::new(Answers::default());
    rig.submit("m", 8000, &answers);
    let applied = rig.apply(threads("m", 2));
    assert!(applied.plan.rows[0].rebuild);
    let warming = |state: &ModelState| matches!(state, ModelState::Warming { total: 2, .. });
    let first = rig.until("m", |view| warming(&view.state));
    assert_eq!(first.actual.active, 2, "two of the old four may serve");
    let from = first.counts.completed;
    let later = rig.until("m", |view| view.counts.completed > from + 20 || !warming(&view.state));
    assert!(warming(&later.state), "it serves while it warms: {:?}", later.counts);
    let view = rig.until("m", |view| view.state == ModelState::Running);
    assert_eq!(view.actual.threads_per_instance, 2);
    rig.until("m", |view| view.actual.threads.len() == 4);
    rig.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 8000);
    let masks = rig.machine.masks();
    let view = rig.until("m", |view| view.actual.difference.is_none());
    assert!(view.actual.threads.iter().all(|thread| masks[&thread.id] == set("0-3")));
    let again = rig.apply(threads("m", 1));
    assert!(again.plan.rows[0].last_build_us.is_some_and(|us| us > 0));
}

#[test]
fn a_newer_width_supersedes_one_that_is_being_built() {
    let rig = Rig::start(4, vec![row("m", "0-3")]);
    let script = rig.scripts.of("m");
    script.build_ns.store(100_000_000, Ordering::SeqCst);
    for width in [2, 3, 4, 2, 4] {
        rig.apply(threads("m", width));
    }
    let view = rig.until("m", |view| view.state == ModelState::Running);
    assert_eq!((view.actual.threads_per_instance, view.row.threads), (4, 4));
    rig.until("m", |view| view.actual.threads.len() == 4 && view.actual.active == 1);
}

#[test]
fn a_failed_build_reverts_the_row_and_is_journaled() {
    let rig = Rig::start(4, vec![row("m", "0-3"), row("other", "0")]);
    let script = rig.scripts.of("m");
    script.build_fails.store(true, Ordering::SeqCst);
    rig.apply(threads("m", 4));
    rig.wait("the journal", || {
        rig.scheduler.journal().last().is_some_and(|entry| entry.author == Author::Scheduler)
    });
    let entry = rig.scheduler.journal().pop().unwrap();
    assert_eq!(entry.models, ["m"]);
    assert!(entry.warnings.iter().any(|line| line.contains("the script says so")), "{entry:?}");
    let view = rig.until("m", |view| view.row.threads == 1 && view.state == ModelState::Running);
    assert_eq!(view.row.budget.threads, Auto::Exactly(1));
    assert_eq!(view.actual.threads_per_instance, 1);
    let answers = Arc::new(Answers::default());
    rig.submit("m", 100, &answers);
    rig.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 100, "the old width serves");
    script.build_fails.store(false, Ordering::SeqCst);
    rig.apply(threads("m", 4));
    rig.until("m", |view| view.actual.threads_per_instance == 4 && warm(view));
}

#[test]
fn a_broken_instance_is_replaced_and_its_request_answered() {
    let rig = Rig::start(2, vec![row("m", "0-1"), row("calm", "0")]);
    let script = rig.scripts.of("m");
    script.panic_every.store(10, Ordering::SeqCst);
    let (answers, calm) = (Arc::new(Answers::default()), Arc::new(Answers::default()));
    rig.submit("m", 200, &answers);
    rig.submit("calm", 200, &calm);
    rig.wait("answers", || answers.all() && calm.all());
    let failed = answers.failed.load(Ordering::SeqCst);
    assert!((10..=40).contains(&failed), "{answers:?}");
    assert_eq!(calm.completed.load(Ordering::SeqCst), 200);
    script.panic_every.store(0, Ordering::SeqCst);
    rig.until("m", |view| view.actual.active == 2 && view.counts.failed == failed as u64);
}
