//! Weights come into force as nice values, also where the kernel lets no thread rise again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use divvy::layout::Edit;
use divvy::scheduler::Control;
use divvy::telemetry::{Author, ModelState, ModelView};

use super::test_scheduler::*;

fn weigh(model: &str, weight: u32) -> Edit {
    Edit::SetWeight { model: model.to_owned(), weight }
}

fn at(view: &ModelView, nice: i32) -> bool {
    !view.actual.threads.is_empty()
        && view.actual.threads.iter().all(|thread| thread.nice == Some(nice))
}

#[test]
fn threads_sink_and_rise_with_the_weights_of_those_that_they_meet() {
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "0-1"), row("c", "3")]);
    let applied = test.apply(weigh("a", 4));
    assert!(applied.differences.is_empty(), "{:?}", applied.differences);
    for (name, nice) in [("a", 0), ("b", 6), ("c", 0)] {
        test.until(name, |view| at(view, nice));
    }
    // b leaves a's cores: nobody is there whom it could stand behind
    test.apply(Edit::SetCores {
        model: "b".to_owned(),
        cores: divvy::layout::CoreRequest::List(set("2")),
    });
    test.until("b", |view| at(view, 0));
    test.scheduler.undo(Author::Api).unwrap();
    test.until("b", |view| at(view, 6));
    test.scheduler.undo(Author::Api).unwrap();
    test.until("b", |view| at(view, 0));
}

#[test]
fn without_privilege_new_instances_take_the_place_of_threads_that_may_not_rise() {
    let test = TestScheduler::start(2, vec![row("a", "0-1"), row("b", "0-1")]);
    test.machine.forbid_raising();
    let script = test.scripts.of("b");
    script.sleep_ns.store(200_000, Ordering::SeqCst);
    let answers = Arc::new(Answers::default());
    test.apply(weigh("a", 16));
    let low = test.until("b", |view| at(view, 12));
    test.submit("b", 2000, &answers);
    script.build_ns.store(100_000_000, Ordering::SeqCst);
    let applied = test.apply(weigh("a", 2));
    assert!(applied.differences[0].contains("stays at nice 12"), "{:?}", applied.differences);
    test.until("b", |view| matches!(view.state, ModelState::Warming { .. }));
    let risen = test.until("b", |view| at(view, 3) && view.state == ModelState::Running);
    assert_eq!(risen.actual.difference, None);
    let ids = |view: &ModelView| -> Vec<_> { view.actual.threads.iter().map(|t| t.id).collect() };
    assert!(ids(&risen).iter().all(|id| !ids(&low).contains(id)), "other threads");
    assert_eq!(risen.actual.active, low.actual.active);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 2000);
}

#[test]
fn a_model_rises_as_often_as_it_is_asked_to() {
    let test = TestScheduler::start(2, vec![row("a", "0-1"), row("b", "0-1")]);
    test.machine.forbid_raising();
    for _ in 0..4 {
        test.apply(weigh("a", 16));
        test.until("b", |view| at(view, 12) && warm(view));
        test.apply(weigh("a", 2));
        test.until("b", |view| at(view, 3) && warm(view) && view.actual.difference.is_none());
    }
}

#[test]
fn a_model_whose_new_instances_fail_serves_on_where_it_stands() {
    let test = TestScheduler::start(2, vec![row("a", "0-1"), row("b", "0-1"), row("c", "0")]);
    test.machine.forbid_raising();
    test.apply(weigh("a", 16));
    test.until("b", |view| at(view, 12));
    let script = test.scripts.of("b");
    script.build_fails.store(true, Ordering::SeqCst);
    test.apply(weigh("a", 2));
    let told = |view: &ModelView| {
        view.actual.difference.as_ref().is_some_and(|text| text.contains("the script says so"))
    };
    let view = test.until("b", told);
    assert_eq!((&view.state, view.actual.active), (&ModelState::Running, 2));
    assert_eq!(view.row.budget.threads, divvy::layout::Auto::Auto, "the row is as it was");
    let answers = Arc::new(Answers::default());
    test.submit("b", 100, &answers);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 100);
    // another model's change does not hide what is open
    test.apply(concurrency("c", 3));
    let view = test.until("b", |_| true);
    assert!(view.actual.difference.is_some());
    script.build_fails.store(false, Ordering::SeqCst);
    test.apply(weigh("a", 4));
    test.until("b", |view| at(view, 6) && view.actual.difference.is_none());
}

#[test]
fn the_plan_and_the_verdicts_tell_of_models_that_a_weight_acts_on() {
    let test = TestScheduler::start(2, vec![row("a", "0-1"), row("b", "0-1"), row("c", "0-1")]);
    let applied = test.apply(weigh("a", 4));
    let plan = &applied.plan;
    assert_eq!(
        plan.summary,
        "a weight 1 -> 4, b stands lower on shared cores (nice 0 -> 6), c stands lower on shared \
         cores (nice 0 -> 6)"
    );
    let entry = test.scheduler.journal().pop().unwrap();
    let judged: Vec<&str> = entry.verdicts.iter().map(|verdict| verdict.model.as_str()).collect();
    assert_eq!(judged, ["a", "b", "c"]);
    test.scheduler.undo(Author::Api).unwrap();
    test.until("b", |view| at(view, 0));
    // one that is paused puts nobody behind it
    test.apply(weigh("a", 8));
    test.until("b", |view| at(view, 9));
    test.apply(Edit::Pause { model: "a".to_owned(), paused: true });
    test.until("b", |view| at(view, 0));
}
