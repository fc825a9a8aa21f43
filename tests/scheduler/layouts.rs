//! Loading whole layouts, and models that do not load.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use divvy::layout::Edit;
use divvy::scheduler::Control;
use divvy::telemetry::ModelState;

use super::test_scheduler::*;

#[test]
fn layout_loads_as_one_transaction() {
    let test = TestScheduler::start(6, vec![row("kept", "0-1"), row("gone", "2-3")]);
    for name in ["kept", "gone"] {
        test.scripts.of(name).sleep_ns.store(1_000_000, Ordering::SeqCst);
    }
    test.scripts.of("new");
    let (kept, gone) = (Arc::new(Answers::default()), Arc::new(Answers::default()));
    test.submit("kept", 1000, &kept);
    test.submit("gone", 400, &gone);
    let sender = test.scheduler.client("gone").unwrap().sender();
    let loads = test.scripts.loads.load(Ordering::SeqCst);
    let next = layout(vec![row("new", "2-3"), row("kept", "0,4-5")]);
    test.apply(Edit::Load { layout: Box::new(next.clone()) });
    assert_eq!(test.scheduler.layout(), next);
    assert_eq!(test.scheduler.journal().len(), 1, "one transaction");
    assert!(test.scheduler.client("gone").is_none());
    let view = test.until("kept", |view| view.actual.active == 3);
    assert_eq!(view.actual.cores, set("0,4-5"));
    test.until("new", |view| view.state == ModelState::Running && view.actual.active == 2);
    test.wait("answers", || kept.all() && gone.all());
    assert_eq!(kept.completed.load(Ordering::SeqCst), 1000, "the kept model loses no request");
    assert_eq!(gone.completed.load(Ordering::SeqCst), 400, "the removed model answers its queue");
    assert_eq!(
        test.scripts.loads.load(Ordering::SeqCst),
        loads + 1,
        "only the new model is loaded"
    );
    // The removed model rejects further requests.
    let answers = Arc::new(Answers::default());
    let noting = answers.clone();
    answers.asked.fetch_add(1, Ordering::SeqCst);
    let reply = Box::new(move |outcome| noting.note(&outcome));
    sender.submit(divvy::pool::Request::new(Arc::default(), reply));
    assert_eq!(answers.rejected.load(Ordering::SeqCst), 1);
}

#[test]
fn removed_model_leaves_reserved_cores() {
    let test = TestScheduler::start(4, vec![row("gone", "0-2"), row("new", "3")]);
    let script = test.scripts.of("gone");
    script.run_blocked.store(true, Ordering::SeqCst);
    let answers = Arc::new(Answers::default());
    test.submit("gone", 5, &answers);
    let view = test.until("gone", |view| view.counts.executing == 3);
    let of = |view: &divvy::telemetry::ModelView| -> Vec<_> {
        view.actual.threads.iter().map(|thread| thread.id).collect()
    };
    let (leaving, coming) = (of(&view), of(&test.until("new", |_| true)));
    let mut reserving = row("new", "1-3");
    reserving.reserve = true;
    test.apply(Edit::Load { layout: Box::new(layout(vec![reserving])) });
    let masks = test.machine.masks();
    assert!(leaving.iter().all(|thread| masks[thread] == set("0")), "{masks:?}");
    assert!(coming.iter().all(|thread| masks[thread] == set("1-3")), "{masks:?}");
    let log = test.machine.log();
    let placed = |thread| log.iter().rposition(|call| call.thread == thread).unwrap();
    assert!(placed(leaving[0]) < placed(coming[0]), "donors first");
    // A later change moves it again.
    let reserve = |model: &str, cores: &str| divvy::layout::Change {
        edits: vec![Edit::SetCores {
            model: model.to_owned(),
            cores: divvy::layout::CoreRequest::List(set(cores)),
        }],
    };
    test.scheduler.apply(reserve("new", "0-2"), divvy::telemetry::Author::Api).unwrap();
    let masks = test.machine.masks();
    assert!(leaving.iter().all(|thread| masks[thread] == set("3")), "{masks:?}");
    script.run_blocked.store(false, Ordering::SeqCst);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 5);
}

#[test]
fn failed_load_reports_its_reason() {
    let rows = vec![row("good", "0"), row("bad", "1")];
    let test = TestScheduler::start_with(2, rows, &["good".to_owned()], |_| {});
    let bad = test.until("bad", |view| matches!(view.state, ModelState::Failed { .. }));
    let ModelState::Failed { reason } = &bad.state else { unreachable!() };
    assert!(reason.contains("no script of this name"), "{reason}");
    test.until("good", |view| view.state == ModelState::Running);
    let answers = Arc::new(Answers::default());
    test.submit("good", 50, &answers);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 50);
    test.apply(transfer(1, "bad", "good"));
    test.until("good", |view| view.actual.active == 2);
}

#[test]
fn stop_answers_waiting_requests() {
    let test = TestScheduler::start(2, vec![row("m", "0-1"), row("paused", "1")]);
    test.apply(Edit::Pause { model: "paused".to_owned(), paused: true });
    test.scripts.of("m").sleep_ns.store(1_000_000, Ordering::SeqCst);
    let (runs, waits) = (Arc::new(Answers::default()), Arc::new(Answers::default()));
    test.submit("m", 100, &runs);
    test.submit("paused", 100, &waits);
    let last = test.scheduler.stop(PATIENCE).unwrap();
    assert!(runs.all() && waits.all());
    assert_eq!(runs.completed.load(Ordering::SeqCst), 100);
    assert_eq!(waits.rejected.load(Ordering::SeqCst), 100);
    for view in &last.models {
        assert!(view.counts.balanced());
        assert_eq!(view.counts.submitted, 100);
    }
    let refusal = test.scheduler.apply(concurrency("m", 1).into(), divvy::telemetry::Author::Api);
    assert!(refusal.unwrap_err().reason.contains("stopped"));
}

#[test]
fn models_load_for_the_setup_of_their_row() {
    let mut wide = row("wide", "0-3");
    wide.threads = divvy::layout::Auto::Exactly(4);
    let test = TestScheduler::start(4, vec![wide, row("narrow", "0")]);
    let setups = test.scripts.setups.lock().unwrap().clone();
    let threads = |name: &str| setups[name].map(|setup| setup.threads);
    assert_eq!((threads("wide"), threads("narrow")), (Some(4), Some(1)));
}

#[test]
fn load_seed_survives_reload() {
    let mut budgets = vec![row("a", "0"), row("b", "1"), row("c", "2")];
    for budget in &mut budgets {
        budget.load = Some(divvy::layout::LoadSpec::Poisson { rate: 10.0 });
    }
    let test = TestScheduler::start(3, budgets.clone());
    let seeds = || -> Vec<(String, u64)> {
        let orders = test.scheduler.loads().borrow().clone();
        orders.iter().map(|order| (order.model.name.clone(), order.seed)).collect()
    };
    let before = seeds();
    assert_eq!(before.len(), 3);
    budgets.remove(0);
    budgets[1].dims.insert("batch".to_owned(), 2);
    test.apply(Edit::Load { layout: Box::new(layout(budgets)) });
    test.wait("the reloaded model", || seeds().len() == 2);
    assert_eq!(seeds(), before[1..]);
}
