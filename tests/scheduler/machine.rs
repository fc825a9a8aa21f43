//! The machine shrinks and grows under a running layout.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use divvy::machine::{AffinityError, CoreId, ThreadId};
use divvy::scheduler::Control;
use divvy::telemetry::Author;

use super::rig::*;

#[test]
fn the_layout_follows_a_machine_that_shrinks_and_grows() {
    let rig = Rig::start(4, vec![row("a", "0-1"), row("b", "2-3")]);
    let answers = Arc::new(Answers::default());
    rig.scripts.of("a").sleep_ns.store(1_000_000, Ordering::SeqCst);
    rig.submit("a", 500, &answers);
    rig.machine.set_cpuset(set("0,2-3"));
    let view = rig.until("a", |view| view.row.cores == set("0"));
    assert_eq!(view.row.concurrency, 1, "auto follows the cores");
    rig.until("a", |view| view.actual.cores == set("0"));
    let entry = rig.scheduler.journal().pop().unwrap();
    assert_eq!(entry.author, Author::Scheduler);
    assert!(entry.summary.starts_with("the machine changed"), "{}", entry.summary);
    assert!(entry.warnings.iter().any(|line| line.contains("lost core 1")), "{entry:?}");
    rig.machine.set_online(CoreId(2), false);
    rig.machine.set_online(CoreId(3), false);
    let view = rig.until("b", |view| view.row.cores.is_empty());
    assert_eq!(view.row.concurrency, 0, "a list without a core is paused");
    rig.machine.set_online(CoreId(2), true);
    rig.machine.set_online(CoreId(3), true);
    rig.machine.set_cpuset(set("0-3"));
    rig.until("a", |view| view.actual.cores == set("0-1") && view.actual.active == 2);
    rig.until("b", |view| view.actual.cores == set("2-3") && view.actual.active == 2);
    rig.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 500);
}

#[test]
fn a_mask_that_the_kernel_refuses_is_shown_and_tried_again() {
    let rig = Rig::start(4, vec![row("a", "0-1"), row("b", "2-3")]);
    let refused = AffinityError::Refused { thread: ThreadId(1), reason: "scripted".to_owned() };
    rig.machine.refuse_next(refused);
    let applied = rig.apply(transfer(1, "a", "b"));
    assert_eq!(applied.differences.len(), 1);
    assert!(applied.differences[0].contains("scripted"), "{:?}", applied.differences);
    let at = applied.plan.after.clone();
    for name in ["a", "b"] {
        let want = at.row(name).unwrap().cores;
        rig.until(name, |view| view.actual.cores == want && view.actual.difference.is_none());
    }
}
