//! Rows without a load whose trial request cannot be guessed: they serve, and their callers' requests are
//! the trial.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use divvy::layout::{Budget, Edit, LoadSpec, ModelSource};
use divvy::scheduler::Control;
use divvy::telemetry::{Applied, ChangeStatus, ModelState};

use super::test_scheduler::*;

/// Starts model `m`, of which no guess runs, and waits until it serves.
fn start() -> TestScheduler {
    let test = TestScheduler::start_with(2, vec![row("m", "0-1")], &["m".to_owned()], |options| {
        options.loader = Arc::new(Unguessable(options.loader.clone()));
    });
    test.until("m", |view| view.state == ModelState::Running && view.actual.active == 2);
    test
}

fn send_good_request(test: &TestScheduler) {
    let answers = Arc::new(Answers::default());
    test.submit("m", 1, &answers);
    test.wait("an answer", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 1, "{answers:?}");
}

fn set_file(test: &TestScheduler) -> Applied {
    let row = test.scheduler.layout().models.remove(0);
    let budget = Box::new(Budget { source: ModelSource::File("/other.onnx".into()).into(), ..row });
    test.apply(Edit::SetRow { budget, base: None })
}

/// Waits until a change has ended, and returns the reason why it was rolled back; `None` if it was not.
fn end_of(test: &TestScheduler, id: u64) -> Option<String> {
    let found = std::cell::RefCell::new(None);
    test.wait("the end of the change", || {
        let snapshot = test.snapshot();
        let entry = snapshot.changes.iter().find(|entry| entry.id == id);
        found.replace(entry.map(|entry| entry.status.clone()));
        let is_over = |status: &ChangeStatus| {
            matches!(status, ChangeStatus::InForce | ChangeStatus::RolledBack { .. })
        };
        found.borrow().as_ref().is_some_and(is_over)
    });
    match found.into_inner() {
        Some(ChangeStatus::RolledBack { reason }) => Some(reason),
        _ => None,
    }
}

#[test]
fn row_is_served_with_an_alert() {
    let test = start();
    let view = test.until("m", |view| view.untried.is_some());
    assert_eq!(view.untried.as_deref(), Some(NO_GUESS));
    let alerts = test.snapshot().alerts.clone();
    assert!(alerts.iter().any(|alert| alert.text.contains("m is not tried")), "{alerts:?}");
    send_good_request(&test);
    test.until("m", |view| view.untried.is_none());
}

#[test]
fn new_file_needs_no_trial_without_requests() {
    let test = start();
    test.scripts.of("m").fail_every.store(1, Ordering::SeqCst);
    let applied = set_file(&test);
    assert_eq!(end_of(&test, applied.id), None);
    test.until("m", |view| view.untried.is_some() && view.state == ModelState::Running);
}

#[test]
fn new_file_runs_the_last_good_request() {
    let test = start();
    send_good_request(&test);
    let runs = test.scripts.of("m").runs.load(Ordering::SeqCst);
    let applied = set_file(&test);
    assert_eq!(end_of(&test, applied.id), None);
    let view = test.until("m", |view| view.state == ModelState::Running);
    assert_eq!(view.untried, None);
    assert!(test.scripts.of("m").runs.load(Ordering::SeqCst) > runs);
}

#[test]
fn new_file_that_fails_on_it_is_rolled_back() {
    let test = start();
    send_good_request(&test);
    test.scripts.of("m").fail_every.store(1, Ordering::SeqCst);
    let applied = set_file(&test);
    let reason = end_of(&test, applied.id).unwrap();
    assert!(reason.contains("the last good one of its callers, failed"), "{reason}");
    let source = test.scheduler.layout().models.remove(0).source;
    assert_eq!(source, ModelSource::File("/m.onnx".into()).into());
}

#[test]
fn load_needs_a_guess_that_works() {
    let test = start();
    test.scripts.of("m").fail_every.store(1, Ordering::SeqCst);
    let load = Some(LoadSpec::Constant { rate: 10.0 });
    let applied = test.apply(Edit::SetLoad { model: "m".to_owned(), load });
    let reason = end_of(&test, applied.id).unwrap();
    assert!(reason.contains("the trial request failed"), "{reason}");
    assert_eq!(test.scheduler.layout().models.remove(0).load, None);
    test.until("m", |view| view.state == ModelState::Running && view.untried.is_some());
}
