//! Builds of instances beside the serving ones.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use divvy::engine::synthetic::Script;
use divvy::layout::{Auto, Budget, Change, Edit, ProcessSelector, ProcessSource};
use divvy::pool::engine_threads;
use divvy::process::{ProcessHost, ProcessOptions};
use divvy::scheduler::Control;
use divvy::telemetry::{Author, ChangeStatus, JournalEntry, ModelState, ModelView};

use super::test_scheduler::*;

#[test]
fn old_width_serves_until_new_is_warm() {
    let test = TestScheduler::start(4, vec![row("m", "0-3")]);
    let script = test.scripts.of("m");
    script.sleep_ns.store(1_000_000, Ordering::SeqCst);
    script.build_blocked.store(2, Ordering::SeqCst);
    let answers = Arc::new(Answers::default());
    let applied = test.apply(threads("m", 2));
    assert!(applied.plan.rows[0].rebuild);
    let warming = |state: &ModelState| matches!(state, ModelState::Warming { total: 2, .. });
    let first = test.until("m", |view| warming(&view.state));
    assert_eq!(first.actual.active, 2, "two of the four old instances may serve");
    let from = first.counts.completed;
    let later = test.until("m", |view| {
        test.top_up("m", &answers);
        view.counts.completed > from + 20
    });
    assert!(warming(&later.state), "the old width keeps serving: {:?}", later.counts);
    script.build_blocked.store(0, Ordering::SeqCst);
    let view = test.until("m", |view| view.state == ModelState::Running);
    assert_eq!(view.actual.threads_per_instance, 2);
    test.until("m", |view| view.actual.threads.len() == 4);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), answers.answered());
    let masks = test.machine.masks();
    let view = test.until("m", |view| view.actual.difference.is_none());
    assert!(view.actual.threads.iter().all(|thread| masks[&thread.id] == set("0-3")));
    let again = test.apply(threads("m", 1));
    assert!(again.plan.rows[0].last_build_us.is_some_and(|us| us > 0));
}

#[test]
fn newer_width_supersedes_pending_build() {
    let test = TestScheduler::start(4, vec![row("m", "0-3")]);
    let script = test.scripts.of("m");
    script.build_blocked.store(Script::ALL, Ordering::SeqCst);
    for width in [2, 3, 4, 2, 4] {
        test.apply(threads("m", width));
    }
    script.build_blocked.store(0, Ordering::SeqCst);
    let view = test.until("m", |view| view.state == ModelState::Running);
    assert_eq!((view.actual.threads_per_instance, view.row.threads), (4, 4));
    test.until("m", |view| view.actual.threads.len() == 4 && view.actual.active == 1);
}

#[test]
fn failed_build_rolls_the_row_back() {
    let test = TestScheduler::start(4, vec![row("m", "0-3"), row("other", "0")]);
    let script = test.scripts.of("m");
    script.build_fails.store(true, Ordering::SeqCst);
    let earlier = test.apply(concurrency("other", 2)).id;
    let failing = test.apply(threads("m", 4)).id;
    let entry = own_entry(&test, failing);
    assert_eq!(entry.models, ["m"]);
    assert!(entry.warnings.iter().any(|line| line.contains("the script says so")), "{entry:?}");
    let view = test.until("m", |view| view.row.threads == 1 && view.state == ModelState::Running);
    assert_eq!(view.row.budget.threads, Auto::Auto, "the row is restored");
    assert_eq!(view.actual.threads_per_instance, 1);
    assert_eq!(entry.undoes, Some(failing), "the rollback undoes the change");
    let undone = test.scheduler.undo(Author::Api).unwrap();
    assert_eq!(test.scheduler.journal().pop().unwrap().undoes, Some(earlier), "{undone:?}");
    let answers = Arc::new(Answers::default());
    test.submit("m", 100, &answers);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 100, "the old width serves");
    script.build_fails.store(false, Ordering::SeqCst);
    test.scheduler.redo(Author::Api).unwrap();
    test.scheduler.redo(Author::Api).unwrap();
    test.until("m", |view| view.actual.threads_per_instance == 4 && warm(view));
}

#[test]
fn rollback_restores_last_served_settings() {
    let mut fixed = row("m", "0-3");
    fixed.threads = Auto::Exactly(2);
    let test = TestScheduler::start(4, vec![fixed]);
    let script = test.scripts.of("m");
    // The same width, now by `auto`.
    test.apply(threads("m", 1));
    test.until("m", |view| view.actual.threads_per_instance == 1 && warm(view));
    let auto = Edit::SetThreads { model: "m".to_owned(), threads: Auto::Auto };
    test.apply(auto.clone());
    test.until("m", |view| view.row.threads == view.actual.threads_per_instance && warm(view));
    script.build_fails.store(true, Ordering::SeqCst);
    let one = test.apply(threads("m", 3)).id;
    assert_eq!(own_entry(&test, one).undoes, Some(one));
    assert_eq!(test.scheduler.layout().models[0].threads, Auto::Auto);
    // Other edits of the same change stay, and undo reverts them.
    let weight = Edit::SetWeight { model: "m".to_owned(), weight: 2 };
    let both = Change { edits: vec![threads("m", 3), weight] };
    let two = test.scheduler.apply(both, Author::Api).unwrap().id;
    assert_eq!(own_entry(&test, two).undoes, None);
    let asked = test.scheduler.layout().models.remove(0);
    assert_eq!((asked.threads, asked.weight), (Auto::Auto, 2));
    test.scheduler.undo(Author::Api).unwrap();
    assert_eq!(test.scheduler.journal().pop().unwrap().undoes, Some(two));
    let asked = test.scheduler.layout().models.remove(0);
    assert_eq!((asked.threads, asked.weight), (Auto::Auto, 1));
}

/// Returns the entry with a number.
fn entry(test: &TestScheduler, id: u64) -> Arc<JournalEntry> {
    let journal = test.scheduler.journal();
    journal.into_iter().find(|entry| entry.id == id).unwrap()
}

/// Waits until a snapshot shows that an entry has a status.
fn until_status(test: &TestScheduler, id: u64, is_it: impl Fn(&ChangeStatus) -> bool) {
    test.wait("the status", || {
        let snapshot = test.snapshot();
        snapshot.changes.iter().any(|entry| entry.id == id && is_it(&entry.status))
    });
}

#[test]
fn change_builds_until_its_instances_serve() {
    let test = TestScheduler::start(4, vec![row("m", "0-3")]);
    let script = test.scripts.of("m");
    script.build_blocked.store(2, Ordering::SeqCst);
    let applied = test.apply(threads("m", 2));
    assert_eq!(applied.status, ChangeStatus::Building { ready: 0, total: 2 });
    let pending = |ready| ChangeStatus::Building { ready, total: 2 };
    until_status(&test, applied.id, |status| *status == pending(0));
    script.build_blocked.store(0, Ordering::SeqCst);
    until_status(&test, applied.id, |status| *status == ChangeStatus::InForce);
    let entry = entry(&test, applied.id);
    assert!(entry.built_us.is_some_and(|us| us >= entry.force_us), "{entry:?}");
}

#[test]
fn change_without_builds_is_in_force() {
    let test = TestScheduler::start(4, vec![row("m", "0-3")]);
    let applied = test.apply(concurrency("m", 2));
    assert_eq!(applied.status, ChangeStatus::InForce);
    assert_eq!(entry(&test, applied.id).built_us, None);
}

#[test]
fn growth_counts_serving_instances() {
    let test = TestScheduler::start(4, vec![row("m", "0-3")]);
    test.scripts.of("m").build_blocked.store(1, Ordering::SeqCst);
    let applied = test.apply(concurrency("m", 10));
    let ready = test.until("m", |view| matches!(view.state, ModelState::Warming { .. }));
    assert_eq!(ready.state, ModelState::Warming { ready: 4, total: 10 });
    assert_eq!(applied.status, ChangeStatus::Building { ready: 4, total: 10 });
}

#[test]
fn failed_growth_restores_the_number() {
    let test = TestScheduler::start(4, vec![row("m", "0-3")]);
    test.scripts.of("m").build_fails.store(true, Ordering::SeqCst);
    let failing = test.apply(concurrency("m", 300)).id;
    assert_eq!(own_entry(&test, failing).undoes, Some(failing));
    let view = test.until("m", |view| view.row.concurrency == 4 && warm(view));
    assert_eq!(view.row.budget.concurrency, Auto::Auto);
    assert_eq!(view.actual.active, 4);
}

#[test]
fn rolled_back_change_names_the_reason() {
    let test = TestScheduler::start(4, vec![row("m", "0-3")]);
    test.scripts.of("m").build_fails.store(true, Ordering::SeqCst);
    let applied = test.apply(threads("m", 4));
    own_entry(&test, applied.id);
    let has_reason = |status: &ChangeStatus| match status {
        ChangeStatus::RolledBack { reason } => reason.contains("the script says so"),
        _ => false,
    };
    until_status(&test, applied.id, has_reason);
}

#[test]
fn replaced_build_was_not_in_force() {
    let test = TestScheduler::start(4, vec![row("m", "0-3")]);
    let script = test.scripts.of("m");
    script.build_blocked.store(Script::ALL, Ordering::SeqCst);
    let first = test.apply(threads("m", 2)).id;
    let other = test.apply(Edit::SetWeight { model: "m".to_owned(), weight: 2 });
    assert_eq!(other.status, ChangeStatus::InForce, "it builds nothing");
    until_status(&test, first, |status| matches!(status, ChangeStatus::Building { .. }));
    let second = test.apply(threads("m", 4)).id;
    until_status(&test, first, |status| *status == ChangeStatus::Replaced);
    script.build_blocked.store(0, Ordering::SeqCst);
    until_status(&test, second, |status| *status == ChangeStatus::InForce);
}

#[test]
fn run_ends_with_an_unfinished_change() {
    let test = TestScheduler::start(2, vec![row("m", "0-1")]);
    let script = test.scripts.of("m");
    script.build_blocked.store(2, Ordering::SeqCst);
    test.apply(threads("m", 2));
    let last = test.scheduler.stop(std::time::Duration::from_millis(10)).unwrap();
    script.build_blocked.store(0, Ordering::SeqCst);
    assert_eq!(last.changes.last().unwrap().status, ChangeStatus::Unfinished);
}

#[test]
fn added_processes_are_in_force_at_once() {
    let host = Arc::new(ProcessHost::start(ProcessOptions::default()).unwrap());
    let names = ["m".to_owned()];
    let test = TestScheduler::start_with(4, vec![row("m", "0-3")], &names, |options| {
        options.processes = Some(host);
    });
    let source = ProcessSource::new(ProcessSelector::Exe("no-such-program".to_owned()));
    let added = test.apply(Edit::Add { budget: Box::new(Budget::new("absent", source)) });
    assert_eq!(added.status, ChangeStatus::InForce);
}

#[test]
fn added_model_that_fails_is_not_in_force() {
    let test = TestScheduler::start(4, vec![row("m", "0-3")]);
    let added = test.apply(Edit::Add { budget: Box::new(row("missing", "0")) });
    assert!(matches!(added.status, ChangeStatus::Building { .. }), "{added:?}");
    until_status(&test, added.id, |status| matches!(status, ChangeStatus::Failed { .. }));
}

/// Returns the newest entry after `after`, once divvy itself has written it.
fn own_entry(test: &TestScheduler, after: u64) -> Arc<JournalEntry> {
    let newest = || test.scheduler.journal().pop().unwrap();
    test.wait("the journal", || newest().id > after && newest().author == Author::Scheduler);
    newest()
}

#[test]
fn panic_during_build_rolls_back() {
    let test = TestScheduler::start(2, vec![row("m", "0-1")]);
    test.scripts.of("m").build_panics.store(true, Ordering::SeqCst);
    let failing = test.apply(threads("m", 2)).id;
    let entry = own_entry(&test, failing);
    let view = test.until("m", |view| view.row.threads == 1 && view.state == ModelState::Running);
    assert_eq!(view.actual.active, 2);
    assert!(entry.warnings.iter().any(|line| line.contains("panicked")), "{entry:?}");
}

/// Breaks the one instance of a model.
fn break_instance(test: &TestScheduler, name: &str) {
    let script = test.scripts.of(name);
    let answers = Arc::new(Answers::default());
    script.panic_every.store(1, Ordering::SeqCst);
    test.submit(name, 1, &answers);
    test.wait("the request", || answers.all());
    assert_eq!(answers.failed.load(Ordering::SeqCst), 1);
    script.panic_every.store(0, Ordering::SeqCst);
}

#[test]
fn lost_instance_is_reported() {
    let test = TestScheduler::start(2, vec![row("m", "0-1")]);
    let script = test.scripts.of("m");
    script.build_fails.store(true, Ordering::SeqCst);
    break_instance(&test, "m");
    let is_reported = |view: &ModelView| {
        let difference = view.actual.difference.as_ref();
        difference.is_some_and(|text| text.contains("could not be built: the script says so"))
    };
    let view = test
        .until("m", |view| is_reported(view) || matches!(view.state, ModelState::Failed { .. }));
    assert_eq!((&view.state, view.actual.active), (&ModelState::Running, 1));
    script.heal();
    test.apply(Edit::SetWeight { model: "m".to_owned(), weight: 2 });
    test.until("m", |view| view.actual.active == 2 && view.actual.difference.is_none());
}

#[test]
fn failed_build_keeps_repaired_instance() {
    let test = TestScheduler::start(1, vec![row("m", "0")]);
    let script = test.scripts.of("m");
    script.build_blocked.store(1, Ordering::SeqCst);
    break_instance(&test, "m");
    script.build_fails_at.store(2, Ordering::SeqCst);
    let failing = test.apply(threads("m", 2)).id;
    own_entry(&test, failing);
    script.build_blocked.store(0, Ordering::SeqCst);
    let view = test.until("m", |view| view.state == ModelState::Running && view.actual.active == 1);
    assert_eq!((view.row.threads, view.actual.threads_per_instance), (1, 1));
    let answers = Arc::new(Answers::default());
    test.submit("m", 10, &answers);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 10);
}

#[test]
fn pending_build_replaces_lost_instance() {
    let test = TestScheduler::start(1, vec![row("m", "0")]);
    let script = test.scripts.of("m");
    script.build_blocked.store(2, Ordering::SeqCst);
    test.apply(threads("m", 2));
    script.build_fails_at.store(1, Ordering::SeqCst);
    break_instance(&test, "m");
    let view =
        test.until("m", |view| view.actual.threads.is_empty() && view.state == ModelState::Loading);
    assert_eq!(view.actual.active, 0);
    script.build_blocked.store(0, Ordering::SeqCst);
    test.until("m", |view| view.state == ModelState::Running && view.actual.active == 1);
    let answers = Arc::new(Answers::default());
    test.submit("m", 10, &answers);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 10);
}

#[test]
fn broken_instance_is_replaced() {
    let test = TestScheduler::start(2, vec![row("m", "0-1"), row("calm", "0")]);
    let script = test.scripts.of("m");
    script.panic_every.store(10, Ordering::SeqCst);
    let (answers, calm) = (Arc::new(Answers::default()), Arc::new(Answers::default()));
    test.submit("m", 200, &answers);
    test.submit("calm", 200, &calm);
    test.wait("answers", || answers.all() && calm.all());
    let failed = answers.failed.load(Ordering::SeqCst);
    assert!((10..=40).contains(&failed), "{answers:?}");
    assert_eq!(calm.completed.load(Ordering::SeqCst), 200);
    script.panic_every.store(0, Ordering::SeqCst);
    test.until("m", |view| view.actual.active == 2 && view.counts.failed == failed as u64);
}

#[test]
fn model_without_instances_rejects_requests() {
    let test = TestScheduler::start(2, vec![row("m", "0-1")]);
    let script = test.scripts.of("m");
    script.fail_every.store(1, Ordering::SeqCst);
    let lost = Arc::new(Answers::default());
    test.submit("m", 50, &lost);
    let failed = |state: &ModelState| matches!(state, ModelState::Failed { .. });
    test.until("m", |view| failed(&view.state));
    test.wait("answers", || lost.all());
    assert!(lost.failed.load(Ordering::SeqCst) >= 2 && lost.rejected.load(Ordering::SeqCst) > 0);
    script.fail_every.store(0, Ordering::SeqCst);
    test.apply(concurrency("m", 1));
    test.until("m", |view| view.state == ModelState::Running && view.actual.active == 1);
    let answers = Arc::new(Answers::default());
    test.submit("m", 50, &answers);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 50);
}

#[test]
fn stop_leaves_a_load_behind() {
    let test = TestScheduler::start(2, vec![row("a", "0")]);
    *test.scripts.load_blocked.lock().unwrap() = Some("b".to_owned());
    test.scripts.of("b");
    test.apply(Edit::Add { budget: Box::new(row("b", "1")) });
    test.wait("the load", || test.scripts.loads.load(Ordering::SeqCst) == 2);
    let answers = Arc::new(Answers::default());
    test.submit("a", 10, &answers);
    let start = Instant::now();
    assert!(test.scheduler.stop(PATIENCE).is_some());
    assert!(start.elapsed() < PATIENCE, "it waited for the load");
    assert_eq!(answers.completed.load(Ordering::SeqCst), 10);
    assert!(engine_threads() > 0, "the load is known at the end of the process");
    *test.scripts.load_blocked.lock().unwrap() = None;
}
