//! Changes of cores and concurrency, and refusals.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use divvy::layout::{Change, CoreOwner, CoreSelection, Edit};
use divvy::scheduler::Control;
use divvy::telemetry::{Author, ModelState};

use super::test_scheduler::*;

#[test]
fn transfer_moves_every_thread() {
    let mut wide = row("wide", "0-3");
    wide.threads = divvy::layout::Auto::Exactly(2);
    let test = TestScheduler::start(6, vec![wide, row("narrow", "4-5")]);
    let built = test.scripts.of("wide").built.load(Ordering::SeqCst);
    let applied = test.apply(transfer(1, "narrow", "wide"));
    assert!(applied.differences.is_empty(), "{:?}", applied.differences);
    let masks = test.machine.masks();
    let generation = applied.plan.after.row("wide").unwrap().generation;
    for (name, cores, threads) in [("wide", 5, 4), ("narrow", 1, 2)] {
        let view = test.until(name, |view| view.row.generation == generation || name == "narrow");
        assert_eq!(view.row.cores.len(), cores);
        assert_eq!(view.actual.cores, view.row.cores);
        assert_eq!(view.actual.threads.len(), threads, "helpers are threads too");
        assert_eq!(view.actual.difference, None);
        for thread in &view.actual.threads {
            assert_eq!(masks[&thread.id], view.row.cores);
        }
    }
    assert_eq!(test.scripts.of("wide").built.load(Ordering::SeqCst), built, "nothing is rebuilt");
    assert_eq!(test.scheduler.journal().last().unwrap().models, ["wide", "narrow"]);
}

#[test]
fn bound_is_in_force_on_return() {
    let test = TestScheduler::start(4, vec![row("m", "0-3")]);
    let script = test.scripts.of("m");
    script.sleep_ns.store(1_000_000, Ordering::SeqCst);
    let answers = Arc::new(Answers::default());
    let built = script.built.load(Ordering::SeqCst);
    for round in 0..3 {
        test.apply(concurrency("m", 1));
        // Running requests end; then there is never more than one.
        let view = test.until("m", |view| view.row.concurrency == 1 && view.counts.executing <= 1);
        script.take_most_running();
        let from = view.counts.completed;
        let view = test.until("m", |view| {
            test.top_up("m", &answers);
            view.counts.completed > from + 20
        });
        assert_eq!(script.take_most_running(), 1, "round {round}");
        assert_eq!((view.actual.active, view.actual.parked), (1, 3));
        test.apply(concurrency("m", 4));
        test.wait("four at once", || {
            test.top_up("m", &answers);
            script.take_most_running() == 4
        });
    }
    assert_eq!(script.built.load(Ordering::SeqCst), built, "parked instances are used again");
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), answers.answered());
}

#[test]
fn paused_model_keeps_its_queue() {
    let test = TestScheduler::start(2, vec![row("m", "0-1")]);
    let pause = |paused| Edit::Pause { model: "m".to_owned(), paused };
    test.apply(pause(true));
    let answers = Arc::new(Answers::default());
    test.submit("m", 10, &answers);
    let view = test.until("m", |view| view.counts.queued == 10);
    assert_eq!(view.state, ModelState::Paused);
    assert_eq!(answers.answered(), 0);
    test.apply(pause(false));
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 10);
}

#[test]
fn impossible_changes_are_refused() {
    let mut kept = row("kept", "3");
    kept.reserve = true;
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "2"), kept]);
    let named = |cores: &str, from: &str| Edit::TransferCores {
        cores: CoreSelection::These(set(cores)),
        from: CoreOwner::Model(from.to_owned()),
        to: CoreOwner::Model("b".to_owned()),
        share: false,
    };
    for (edit, model, words) in [
        (transfer(3, "a", "b"), "a", "cannot give 3 cores: it has 2"),
        (transfer(1, "a", "nobody"), "", "nobody"),
        (transfer(1, "nobody", "a"), "", "nobody"),
        (named("2", "a"), "a", "2"),
        (named("9", "a"), "a", "9"),
        (concurrency("a", 0), "a", "1"),
        (threads("a", 5000), "a", "1024"),
        (Edit::Remove { model: "nobody".to_owned() }, "", "nobody"),
    ] {
        let refusal = test.refused(edit.clone());
        assert!(refusal.starts_with(model) && refusal.contains(words), "{edit:?}: {refusal}");
    }
    let share = Edit::TransferCores {
        cores: CoreSelection::These(set("3")),
        from: CoreOwner::Model("kept".to_owned()),
        to: CoreOwner::Model("a".to_owned()),
        share: true,
    };
    test.refused(share);
    let two = Change { edits: vec![transfer(1, "a", "b"), transfer(9, "a", "b")] };
    let before = test.scheduler.layout();
    test.scheduler.apply(two, Author::Api).unwrap_err();
    assert_eq!(test.scheduler.layout(), before, "a transaction is refused whole");
    test.scheduler.apply(Change::default(), Author::Api).unwrap_err();
}

#[test]
fn readonly_scheduler_refuses_changes() {
    let names = ["a".to_owned(), "b".to_owned()];
    let test =
        TestScheduler::start_with(4, vec![row("a", "0-1"), row("b", "2")], &names, |options| {
            options.readonly = true;
        });
    test.until("a", |view| view.state == ModelState::Running);
    assert!(test.refused(transfer(1, "a", "b")).contains("read-only"));
    assert!(test.scheduler.undo(Author::Api).unwrap_err().reason.contains("read-only"));
    assert!(test.scheduler.redo(Author::Api).unwrap_err().reason.contains("read-only"));
}

#[test]
fn dropped_call_cancels_its_request() {
    let test = TestScheduler::start(1, vec![row("m", "0")]);
    test.apply(Edit::Pause { model: "m".to_owned(), paused: true });
    let client = test.scheduler.client("m").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let call = client.infer(Arc::default());
        assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
    });
    test.until("m", |view| view.counts.cancelled == 1 && view.counts.queued == 0);
}

#[test]
fn unrelated_change_orders_no_load() {
    let mut loaded = row("a", "0-1");
    loaded.load = Some(divvy::layout::LoadSpec::Constant { rate: 1.0 });
    let test = TestScheduler::start(3, vec![loaded, row("b", "2")]);
    let mut loads = test.scheduler.loads();
    assert_eq!(loads.borrow_and_update().len(), 1);
    test.apply(concurrency("b", 2));
    test.apply(concurrency("a", 1));
    assert!(!loads.has_changed().unwrap());
    test.apply(Edit::Rename { model: "a".to_owned(), to: "x".to_owned() });
    assert_eq!(loads.borrow_and_update()[0].model.name, "x");
}

#[test]
fn stop_answers_requests_of_removed_models() {
    let test = TestScheduler::start(2, vec![row("stays", "0"), row("leaves", "1")]);
    let script = test.scripts.of("leaves");
    script.run_blocked.store(true, Ordering::SeqCst);
    let answers = Arc::new(Answers::default());
    test.submit("leaves", 2, &answers);
    test.until("leaves", |view| view.counts.executing == 1);
    test.apply(Edit::Remove { model: "leaves".to_owned() });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            script.run_blocked.store(false, Ordering::SeqCst);
        });
        test.scheduler.stop(PATIENCE).unwrap();
        assert!(answers.all(), "{answers:?}");
    });
}
