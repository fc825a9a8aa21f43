//! Renames of a running model.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use divvy::layout::{Change, Edit, LoadSpec};
use divvy::load::LoadFollower;
use divvy::pool::Client;
use divvy::scheduler::{Control, VerdictWindows};
use divvy::telemetry::{Author, ModelState, ModelView, VerdictStatus};

use super::test_scheduler::*;

fn rename(model: &str, to: &str) -> Edit {
    Edit::Rename { model: model.to_owned(), to: to.to_owned() }
}

/// Returns the client of the pool that a model has now.
fn pool_client(test: &TestScheduler, model: &str) -> Client {
    test.scheduler.client(model).unwrap().current().unwrap()
}

#[test]
fn rename_keeps_pool_without_rebuild() {
    let test = TestScheduler::start(4, vec![row("old", "0-1"), row("other", "2")]);
    let script = test.scripts.of("old");
    script.sleep_ns.store(1_000_000, Ordering::SeqCst);
    let answers = Arc::new(Answers::default());
    test.submit("old", 300, &answers);
    let client = pool_client(&test, "old");
    let before = test.until("old", |view| view.counts.completed > 10);
    let (built, loads) =
        (script.built.load(Ordering::SeqCst), test.scripts.loads.load(Ordering::SeqCst));

    let applied = test.apply(rename("old", "new"));
    assert!(!applied.plan.rows[0].rebuild);
    assert!(test.scheduler.client("old").is_none());
    assert!(pool_client(&test, "new").is_same_pool(&client));
    let view = test.until("new", |view| view.state == ModelState::Running);
    assert!(view.counts.submitted >= before.counts.submitted, "the counters continue");
    assert!(view.run.total.count >= before.run.total.count, "the metrics continue");
    let ids = |view: &ModelView| -> Vec<_> {
        view.actual.threads.iter().map(|thread| thread.id).collect()
    };
    assert_eq!(ids(&view), ids(&before));
    test.submit("new", 100, &answers);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 400);
    assert_eq!(script.built.load(Ordering::SeqCst), built, "no instance is built");
    assert_eq!(test.scripts.loads.load(Ordering::SeqCst), loads, "no file is loaded");
    assert_eq!(test.scheduler.journal().pop().unwrap().summary, "old renamed to new");
}

#[test]
fn undo_renames_back() {
    let test = TestScheduler::start(2, vec![row("a", "0"), row("b", "1")]);
    let earlier = test.apply(concurrency("a", 2)).id;
    test.apply(rename("a", "x"));
    let later = test.apply(concurrency("x", 3)).id;
    let undone = |id: u64| {
        assert_eq!(test.scheduler.undo(Author::Api).unwrap().of, Some(id));
        test.scheduler.layout().models[0].clone()
    };
    assert_eq!(undone(later).name, "x");
    assert_eq!(undone(later - 1).name, "a");
    test.until("a", |view| view.state == ModelState::Running && view.actual.active == 2);
    assert_eq!(undone(earlier), row("a", "0"));
    for _ in 0..3 {
        test.scheduler.redo(Author::Api).unwrap();
    }
    test.until("x", |view| view.state == ModelState::Running && view.actual.active == 3);
    assert_eq!(test.scripts.loads.load(Ordering::SeqCst), 2, "no file is loaded again");
}

#[test]
fn two_models_exchange_their_names() {
    let test = TestScheduler::start(3, vec![row("a", "0-1"), row("b", "2")]);
    let (a, b) = (pool_client(&test, "a"), pool_client(&test, "b"));
    let edits = vec![rename("a", "c"), rename("b", "a"), rename("c", "b")];
    test.scheduler.apply(Change { edits }, Author::Api).unwrap();
    assert!(pool_client(&test, "b").is_same_pool(&a) && pool_client(&test, "a").is_same_pool(&b));
    let view = test.until("b", |view| view.state == ModelState::Running);
    assert_eq!(view.actual.cores, set("0-1"));
    test.scheduler.undo(Author::Api).unwrap();
    assert!(pool_client(&test, "a").is_same_pool(&a));
}

#[test]
fn new_model_may_take_the_old_name() {
    let test = TestScheduler::start(3, vec![row("a", "0-1")]);
    let client = pool_client(&test, "a");
    let add = Edit::Add { budget: Box::new(row("a", "2")) };
    test.scheduler.apply(Change { edits: vec![rename("a", "x"), add] }, Author::Api).unwrap();
    test.until("a", |view| view.state == ModelState::Running && view.actual.active == 1);
    assert!(pool_client(&test, "x").is_same_pool(&client));
    assert_eq!(test.scripts.loads.load(Ordering::SeqCst), 2);
}

#[test]
fn rename_during_load_takes_the_loaded_model() {
    let names = ["a".to_owned()];
    let test = TestScheduler::start_with(1, vec![row("a", "0")], &names, |_| {});
    test.apply(rename("a", "x"));
    test.until("x", |view| view.state == ModelState::Running && view.actual.active == 1);
}

#[test]
fn failed_build_after_rename_rolls_back() {
    let test = TestScheduler::start(2, vec![row("a", "0-1")]);
    let script = test.scripts.of("a");
    script.build_blocked.store(1, Ordering::SeqCst);
    script.build_fails.store(true, Ordering::SeqCst);
    test.apply(threads("a", 2));
    test.apply(rename("a", "x"));
    script.build_blocked.store(0, Ordering::SeqCst);
    let view = test.until("x", |view| view.row.threads == 1 && view.state == ModelState::Running);
    assert_eq!(view.actual.active, 2);
}

#[test]
fn verdict_stays_open_after_rename() {
    let names = ["a".to_owned()];
    let test = TestScheduler::start_with(2, vec![row("a", "0-1")], &names, |options| {
        options.windows = VerdictWindows {
            length: Duration::from_millis(200),
            shortest: Duration::from_millis(50),
            settle: Duration::ZERO,
        };
    });
    test.until("a", |view| view.actual.active == 2 && warm(view));
    let id = test.apply(concurrency("a", 1)).id;
    let renamed = test.apply(rename("a", "x")).id;
    let entry = |id: u64| test.scheduler.journal().into_iter().find(|it| it.id == id).unwrap();
    assert!(entry(renamed).verdicts.is_empty(), "a new name changes no latency");
    let verdict = || entry(id).verdicts[0].clone();
    test.wait("the verdict", || verdict().status != VerdictStatus::Open);
    assert_eq!(verdict().model, "a", "the entry keeps the name of its time");
    assert_eq!(verdict().status, VerdictStatus::NotEnough, "not superseded");
}

#[test]
fn load_continues_under_the_new_name() {
    let mut loaded = row("a", "0");
    loaded.load = Some(LoadSpec::Constant { rate: 500.0 });
    let test = TestScheduler::start(1, vec![loaded]);
    let load = LoadFollower::start(test.scheduler.loads()).unwrap();
    let has_rate = |view: &ModelView| view.offered_per_s.is_some_and(|rate| rate > 0.0);
    let before = test.until("a", |view| view.counts.completed > 50 && has_rate(view));
    test.apply(rename("a", "x"));
    let view = test.until("x", |view| view.counts.completed > before.counts.completed + 100);
    assert!(has_rate(&view), "the rate continues");
    assert_eq!(load.stop(PATIENCE), 0);
}
