//! Weights as nice values, with and without the privilege to raise threads.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use divvy::layout::Edit;
use divvy::scheduler::Control;
use divvy::telemetry::{Author, ModelState, ModelView};

use super::test_scheduler::*;

fn weight(model: &str, weight: u32) -> Edit {
    Edit::SetWeight { model: model.to_owned(), weight }
}

fn has_nice(view: &ModelView, nice: i32) -> bool {
    !view.actual.threads.is_empty()
        && view.actual.threads.iter().all(|thread| thread.nice == Some(nice))
}

#[test]
fn weights_set_nice_values() {
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "0-1"), row("c", "3")]);
    let applied = test.apply(weight("a", 4));
    assert!(applied.differences.is_empty(), "{:?}", applied.differences);
    for (name, nice) in [("a", 0), ("b", 6), ("c", 0)] {
        test.until(name, |view| has_nice(view, nice));
    }
    // b leaves a's cores, so it shares with nobody.
    test.apply(Edit::SetCores {
        model: "b".to_owned(),
        cores: divvy::layout::CoreRequest::List(set("2")),
    });
    test.until("b", |view| has_nice(view, 0));
    test.scheduler.undo(Author::Api).unwrap();
    test.until("b", |view| has_nice(view, 6));
    test.scheduler.undo(Author::Api).unwrap();
    test.until("b", |view| has_nice(view, 0));
}

#[test]
fn rebuild_raises_threads_without_privilege() {
    let test = TestScheduler::start(2, vec![row("a", "0-1"), row("b", "0-1")]);
    test.machine.forbid_raising();
    let script = test.scripts.of("b");
    script.sleep_ns.store(200_000, Ordering::SeqCst);
    let answers = Arc::new(Answers::default());
    test.apply(weight("a", 16));
    let low = test.until("b", |view| has_nice(view, 12));
    test.submit("b", 2000, &answers);
    script.build_ns.store(100_000_000, Ordering::SeqCst);
    let applied = test.apply(weight("a", 2));
    assert!(applied.differences[0].contains("stays at nice 12"), "{:?}", applied.differences);
    test.until("b", |view| matches!(view.state, ModelState::Warming { .. }));
    let risen = test.until("b", |view| has_nice(view, 3) && view.state == ModelState::Running);
    assert_eq!(risen.actual.difference, None);
    let ids = |view: &ModelView| -> Vec<_> { view.actual.threads.iter().map(|t| t.id).collect() };
    assert!(ids(&risen).iter().all(|id| !ids(&low).contains(id)), "other threads");
    assert_eq!(risen.actual.active, low.actual.active);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 2000);
}

#[test]
fn repeated_raises_rebuild_each_time() {
    let test = TestScheduler::start(2, vec![row("a", "0-1"), row("b", "0-1")]);
    test.machine.forbid_raising();
    for _ in 0..4 {
        test.apply(weight("a", 16));
        test.until("b", |view| has_nice(view, 12) && warm(view));
        test.apply(weight("a", 2));
        test.until("b", |view| has_nice(view, 3) && warm(view) && view.actual.difference.is_none());
    }
}

#[test]
fn failed_raise_keeps_old_instances() {
    let test = TestScheduler::start(2, vec![row("a", "0-1"), row("b", "0-1"), row("c", "0")]);
    test.machine.forbid_raising();
    test.apply(weight("a", 16));
    test.until("b", |view| has_nice(view, 12));
    let script = test.scripts.of("b");
    script.build_fails.store(true, Ordering::SeqCst);
    test.apply(weight("a", 2));
    let is_reported = |view: &ModelView| {
        view.actual.difference.as_ref().is_some_and(|text| text.contains("the script says so"))
    };
    let view = test.until("b", is_reported);
    assert_eq!((&view.state, view.actual.active), (&ModelState::Running, 2));
    assert_eq!(view.row.budget.threads, divvy::layout::Auto::Auto, "the row is restored");
    let answers = Arc::new(Answers::default());
    test.submit("b", 100, &answers);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 100);
    // Another model's change does not hide the difference.
    test.apply(concurrency("c", 3));
    let view = test.until("b", |_| true);
    assert!(view.actual.difference.is_some());
    script.build_fails.store(false, Ordering::SeqCst);
    test.apply(weight("a", 4));
    test.until("b", |view| has_nice(view, 6) && view.actual.difference.is_none());
}

#[test]
fn weight_change_names_affected_models() {
    let test = TestScheduler::start(2, vec![row("a", "0-1"), row("b", "0-1"), row("c", "0-1")]);
    let applied = test.apply(weight("a", 4));
    let plan = &applied.plan;
    assert_eq!(
        plan.summary,
        "a weight 1 -> 4, b less time on shared cores (nice 0 -> 6), c less time on shared cores \
         (nice 0 -> 6)"
    );
    let entry = test.scheduler.journal().pop().unwrap();
    let judged: Vec<&str> = entry.verdicts.iter().map(|verdict| verdict.model.as_str()).collect();
    assert_eq!(judged, ["a", "b", "c"]);
    test.scheduler.undo(Author::Api).unwrap();
    test.until("b", |view| has_nice(view, 0));
    // A paused model does not lower others.
    test.apply(weight("a", 8));
    test.until("b", |view| has_nice(view, 9));
    test.apply(Edit::Pause { model: "a".to_owned(), paused: true });
    test.until("b", |view| has_nice(view, 0));
}
