//! Weights come into force as nice values, also where the kernel lets no thread rise again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use divvy::layout::Edit;
use divvy::scheduler::Control;
use divvy::telemetry::{Author, ModelState, ModelView};

use super::rig::*;

fn weigh(model: &str, weight: u32) -> Edit {
    Edit::SetWeight { model: model.to_owned(), weight }
}

fn at(view: &ModelView, nice: i32) -> bool {
    !view.actual.threads.is_empty()
        && view.actual.threads.iter().all(|thread| thread.nice == Some(nice))
}

#[test]
fn threads_sink_and_rise_with_the_weights_of_those_that_they_meet() {
    let rig = Rig::start(4, vec![row("a", "0-1"), row("b", "0-1"), row("c", "3")]);
    let applied = rig.apply(weigh("a", 4));
    assert!(applied.differences.is_empty(), "{:?}", applied.differences);
    for (name, nice) in [("a", 0), ("b", 6), ("c", 0)] {
        rig.until(name, |view| at(view, nice));
    }
    // b leaves a's cores: nobody is there whom it could stand behind
    rig.apply(Edit::SetCores {
        model: "b".to_owned(),
        cores: divvy::layout::CoreRequest::List(set("2")),
    });
    rig.until("b", |view| at(view, 0));
    rig.scheduler.undo(Author::Api).unwrap();
    rig.until("b", |view| at(view, 6));
    rig.scheduler.undo(Author::Api).unwrap();
    rig.until("b", |view| at(view, 0));
}

#[test]
fn without_privilege_new_instances_take_the_place_of_threads_that_may_not_rise() {
    let rig = Rig::start(2, vec![row("a", "0-1"), row("b", "0-1")]);
    rig.machine.forbid_raising();
    let script = rig.scripts.of("b");
    script.sleep_ns.store(200_000, Ordering::SeqCst);
    let answers = Arc::new(Answers::default());
    rig.apply(weigh("a", 16));
    let low = rig.until("b", |view| at(view, 12));
    rig.submit("b", 2000, &answers);
    script.build_ns.store(100_000_000, Ordering::SeqCst);
    let applied = rig.apply(weigh("a", 2));
    assert!(applied.differences[0].contains("stays at nice 12"), "{:?}", applied.differences);
    rig.until("b", |view| matches!(view.state, ModelState::Warming { .. }));
    let risen = rig.until("b", |view| at(view, 3) && view.state == ModelState::Running);
    assert_eq!(risen.actual.difference, None);
    let ids = |view: &ModelView| -> Vec<_> { view.actual.threads.iter().map(|t| t.id).collect() };
    assert!(ids(&risen).iter().all(|id| !ids(&low).contains(id)), "other threads");
    assert_eq!(risen.actual.active, low.actual.active);
    rig.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 2000);
}
