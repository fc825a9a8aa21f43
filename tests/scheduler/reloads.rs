//! Another file for a model that serves.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use divvy::engine::synthetic::Script;
use divvy::layout::{Budget, Edit, ModelSource};
use divvy::scheduler::Control;
use divvy::telemetry::{Applied, Author, ChangeStatus, ModelState};

use super::test_scheduler::*;

/// Gives model `m` another file.
fn set_file(test: &TestScheduler, file: &str) -> Applied {
    let row = test.scheduler.layout().models.remove(0);
    let budget = Box::new(Budget { source: ModelSource::File(file.into()).into(), ..row });
    test.apply(Edit::SetRow { budget, base: None })
}

/// Waits until a snapshot shows that a change has a status.
fn until_status(test: &TestScheduler, id: u64, is_it: impl Fn(&ChangeStatus) -> bool) {
    test.wait("the status", || {
        let snapshot = test.snapshot();
        snapshot.changes.iter().any(|entry| entry.id == id && is_it(&entry.status))
    });
}

fn is_rolled_back(status: &ChangeStatus, why: &str) -> bool {
    matches!(status, ChangeStatus::RolledBack { reason } if reason.contains(why))
}

fn file(test: &TestScheduler) -> ModelSource {
    test.scheduler.layout().models.remove(0).source.model().unwrap().clone()
}

/// Checks that the model answers, from the pool that served at the start.
fn assert_serves(test: &TestScheduler) {
    let answers = Arc::new(Answers::default());
    test.submit("m", 50, &answers);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 50, "{answers:?}");
}

#[test]
fn bad_file_leaves_the_old_model_serving() {
    let test = TestScheduler::start(2, vec![row("m", "0-1")]);
    let before = test.scheduler.client("m").unwrap().current().unwrap();
    let applied = set_file(&test, BAD_FILE);
    assert!(matches!(applied.status, ChangeStatus::Building { .. }), "{applied:?}");
    assert_serves(&test);
    until_status(&test, applied.id, |status| is_rolled_back(status, "it is no model"));
    assert_eq!(file(&test), ModelSource::File("/m.onnx".into()));
    test.until("m", |view| view.state == ModelState::Running && view.actual.active == 2);
    assert!(test.scheduler.client("m").unwrap().current().unwrap().is_same_pool(&before));
    assert_serves(&test);
    let newest = test.scheduler.journal().pop().unwrap();
    assert_eq!((&newest.author, newest.undoes), (&Author::Scheduler, Some(applied.id)));
}

#[test]
fn failed_trial_leaves_the_old_model_serving() {
    let test = TestScheduler::start(2, vec![row("m", "0-1")]);
    test.scripts.of("m").build_fails.store(true, Ordering::SeqCst);
    let applied = set_file(&test, "/other.onnx");
    until_status(&test, applied.id, |status| is_rolled_back(status, "the script says so"));
    assert_eq!(file(&test), ModelSource::File("/m.onnx".into()));
    assert_serves(&test);
}

#[test]
fn new_file_takes_over_after_its_trial() {
    let test = TestScheduler::start(2, vec![row("m", "0-1")]);
    let script = test.scripts.of("m");
    let client = test.scheduler.client("m").unwrap();
    let before = client.current().unwrap();
    script.build_blocked.store(Script::ALL, Ordering::SeqCst);
    let applied = set_file(&test, "/other.onnx");
    test.until("m", |view| view.state == ModelState::Warming { ready: 0, total: 2 });
    assert!(client.current().unwrap().is_same_pool(&before));
    assert_serves(&test);
    script.build_blocked.store(0, Ordering::SeqCst);
    until_status(&test, applied.id, |status| *status == ChangeStatus::InForce);
    test.until("m", |view| view.state == ModelState::Running && view.actual.active == 2);
    assert!(!client.current().unwrap().is_same_pool(&before));
    assert_serves(&test);
}

#[test]
fn new_file_has_the_row_of_its_takeover() {
    let test = TestScheduler::start(4, vec![row("m", "0-1"), row("other", "2-3")]);
    let script = test.scripts.of("m");
    script.build_blocked.store(1, Ordering::SeqCst);
    set_file(&test, "/other.onnx");
    test.apply(transfer(1, "other", "m"));
    test.apply(threads("m", 3));
    script.build_blocked.store(0, Ordering::SeqCst);
    let view = test.until("m", |view| {
        view.state == ModelState::Running && view.actual.threads_per_instance == 3
    });
    assert_eq!((view.row.concurrency, view.actual.active), (1, 1));
    test.until("m", |view| view.actual.cores == view.row.cores && view.row.cores.len() == 3);
    assert_serves(&test);
}

#[test]
fn return_to_the_old_file_drops_the_new_one() {
    let test = TestScheduler::start(2, vec![row("m", "0-1")]);
    let script = test.scripts.of("m");
    let before = test.scheduler.client("m").unwrap().current().unwrap();
    script.build_blocked.store(Script::ALL, Ordering::SeqCst);
    let first = set_file(&test, "/other.onnx").id;
    test.scheduler.undo(Author::Api).unwrap();
    until_status(&test, first, |status| *status == ChangeStatus::Replaced);
    script.build_blocked.store(0, Ordering::SeqCst);
    test.until("m", |view| view.state == ModelState::Running && view.actual.active == 2);
    assert!(test.scheduler.client("m").unwrap().current().unwrap().is_same_pool(&before));
}

#[test]
fn paused_model_takes_its_new_file() {
    let test = TestScheduler::start(2, vec![row("m", "0-1")]);
    test.apply(Edit::Pause { model: "m".to_owned(), paused: true });
    let applied = set_file(&test, "/other.onnx");
    until_status(&test, applied.id, |status| *status == ChangeStatus::InForce);
    test.until("m", |view| view.state == ModelState::Paused);
    test.apply(Edit::Pause { model: "m".to_owned(), paused: false });
    test.until("m", |view| view.state == ModelState::Running && view.actual.active == 2);
    assert_serves(&test);
}

#[test]
fn removed_model_takes_its_successor_along() {
    let test = TestScheduler::start(2, vec![row("m", "0-1"), row("other", "0")]);
    let script = test.scripts.of("m");
    script.build_blocked.store(Script::ALL, Ordering::SeqCst);
    set_file(&test, "/other.onnx");
    test.apply(Edit::Remove { model: "m".to_owned() });
    script.build_blocked.store(0, Ordering::SeqCst);
    test.until("other", |view| view.state == ModelState::Running);
    assert!(test.scheduler.client("m").is_none());
}
