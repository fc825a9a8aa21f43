//! The cores on which models are loaded and instances are built.

use std::sync::atomic::Ordering;

use divvy::engine::synthetic::Script;
use divvy::layout::{Auto, Budget, CoreRequest, Edit};
use divvy::machine::ThreadId;
use divvy::telemetry::{ModelState, ModelView};

use super::test_scheduler::*;

fn reserving(name: &str, cores: &str) -> Budget {
    Budget { reserve: true, ..row(name, cores) }
}

fn reserve(model: &str) -> Edit {
    Edit::SetReserve { model: model.to_owned(), reserve: true }
}

/// Returns the thread that loads a model, once it does.
fn loading_thread(test: &TestScheduler, model: &str) -> ThreadId {
    let thread = || test.scripts.load_threads.lock().unwrap().get(model).copied();
    test.wait("a load", || thread().is_some());
    thread().unwrap()
}

fn is_running(view: &ModelView) -> bool {
    view.state == ModelState::Running && warm(view)
}

#[test]
fn load_stays_off_reserved_cores() {
    let test = TestScheduler::start(4, vec![reserving("a", "0-1"), row("b", "2")]);
    let mask = |model| test.machine.masks()[&loading_thread(&test, model)];
    assert_eq!((mask("a"), mask("b")), (set("0-3"), set("2-3")));
}

#[test]
fn load_leaves_newly_reserved_cores() {
    let test = TestScheduler::start_with(4, vec![row("a", "0-1")], &["a".to_owned()], |_| {});
    test.until("a", is_running);
    *test.scripts.load_blocked.lock().unwrap() = Some("b".to_owned());
    test.scripts.of("b");
    test.apply(Edit::Add { budget: Box::new(row("b", "2")) });
    let thread = loading_thread(&test, "b");
    assert_eq!(test.machine.masks()[&thread], set("0-3"));
    test.apply(reserve("a"));
    assert_eq!(test.machine.masks()[&thread], set("2-3"));
    *test.scripts.load_blocked.lock().unwrap() = None;
    test.until("b", is_running);
}

#[test]
fn build_leaves_newly_reserved_cores() {
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "2")]);
    let before = test.machine.masks();
    test.scripts.of("b").build_blocked.store(Script::ALL, Ordering::SeqCst);
    test.apply(Edit::SetThreads { model: "b".to_owned(), threads: Auto::Exactly(2) });
    let building = || {
        let masks = test.machine.masks();
        masks.into_iter().filter(|(id, _)| !before.contains_key(id)).collect::<Vec<_>>()
    };
    // The worker that builds, and the second thread of its engine.
    test.wait("a build", || building().len() == 2);
    let masks = |list: &[(ThreadId, _)]| list.iter().map(|(_, mask)| *mask).collect::<Vec<_>>();
    assert_eq!(masks(&building()), [set("0-3"); 2]);
    test.apply(reserve("a"));
    assert_eq!(masks(&building()), [set("2-3"); 2]);
    test.scripts.of("b").build_blocked.store(0, Ordering::SeqCst);
    test.until("b", is_running);
}

#[test]
fn load_without_free_cores_uses_all() {
    let idle = Budget { cores: CoreRequest::Count(0), ..row("b", "0") };
    let test = TestScheduler::start_with(
        2,
        vec![reserving("a", "0-1"), idle],
        &["a".to_owned(), "b".to_owned()],
        |_| {},
    );
    test.until("b", |view| view.state == ModelState::Paused);
    assert_eq!(test.machine.masks()[&loading_thread(&test, "b")], set("0-1"));
}

#[test]
fn removed_model_leaves_newly_reserved_cores() {
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "2")]);
    *test.scripts.load_blocked.lock().unwrap() = Some("c".to_owned());
    test.scripts.of("c");
    test.apply(Edit::Add { budget: Box::new(row("c", "3")) });
    let thread = loading_thread(&test, "c");
    test.apply(Edit::Remove { model: "c".to_owned() });
    test.apply(reserve("a"));
    assert_eq!(test.machine.masks()[&thread], set("2-3"));
    *test.scripts.load_blocked.lock().unwrap() = None;
}

#[test]
fn engine_threads_leave_newly_reserved_cores() {
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "2")]);
    let thread = ThreadId::of_tid(i32::MAX);
    test.scripts.threads.lock().unwrap().push(thread);
    test.apply(reserve("a"));
    assert_eq!(test.machine.masks()[&thread], set("2-3"));
    test.apply(Edit::SetReserve { model: "a".to_owned(), reserve: false });
    assert_eq!(test.machine.masks()[&thread], set("0-3"));
}
