//! The machine shrinks and grows under a running layout.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use divvy::machine::{AffinityError, CoreId, Machine, ThreadId};
use divvy::scheduler::Control;
use divvy::telemetry::gpu::GpuSource;
use divvy::telemetry::{Author, Conditions, GpuView};

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

#[test]
fn a_thread_that_others_move_is_told_and_put_back() {
    let rig = Rig::start(4, vec![row("a", "0-1"), row("b", "2-3")]);
    let thread = rig.until("a", |view| view.actual.threads.len() == 2).actual.threads[0].id;
    let entries = rig.scheduler.journal().len();
    let told = format!("thread {thread} was moved from outside: it is allowed on 3, not on 0-1");
    rig.until("a", |view| {
        // again and again: it is told until the next look only
        rig.machine.set_affinity(thread, &set("3")).unwrap();
        view.actual.difference.as_ref() == Some(&told)
    });
    // the last time may have been after the owner put it back: the next look finds that, too
    rig.wait("put back", || rig.machine.masks()[&thread] == set("0-1"));
    rig.until("a", |view| view.actual.difference.is_none() && view.actual.cores == set("0-1"));
    assert_eq!(rig.scheduler.journal().len(), entries, "nothing that was asked for has changed");
}

/// A source of GPU figures that panics when it is told to.
#[derive(Default)]
struct Faulty(AtomicBool);

impl GpuSource for Faulty {
    fn latest(&self) -> Arc<GpuView> {
        if self.0.load(Ordering::SeqCst) {
            std::panic::resume_unwind(Box::new("a planted fault"));
        }
        Arc::default()
    }
}

#[test]
fn a_fault_while_figures_are_collected_is_told_and_the_next_ones_come() {
    let (faulty, conditions) = (Arc::new(Faulty::default()), Conditions::default());
    let rig = Rig::start_with(2, vec![row("a", "0-1")], &["a".to_owned()], |options| {
        options.gpu = Some(faulty.clone());
        options.conditions = conditions.clone();
    });
    rig.until("a", |view| view.actual.active == 2);
    faulty.0.store(true, Ordering::SeqCst);
    // the last figures stand, and say that they do
    rig.wait("the alert", || {
        let shown = rig.snapshot();
        let told = "the screen stands still: a fault in divvy (a planted fault)";
        shown.models.len() == 1 && shown.alerts.iter().any(|alert| alert.text.contains(told))
    });
    // what is decided meanwhile is taken in, and seen when the fault has gone
    rig.apply(concurrency("a", 1));
    faulty.0.store(false, Ordering::SeqCst);
    rig.until("a", |view| view.row.concurrency == 1 && view.actual.active == 1);
    rig.wait("no trouble any more", || conditions.alerts().is_empty());
    rig.wait("no alert any more", || {
        rig.snapshot().alerts.iter().all(|alert| !alert.text.contains("a planted fault"))
    });
    assert_eq!(rig.scheduler.stop(PATIENCE).unwrap().models.len(), 1);
}

#[test]
fn stopping_ends_while_each_look_is_a_fault() {
    let faulty = Arc::new(Faulty::default());
    let rig = Rig::start_with(2, vec![row("a", "0-1")], &["a".to_owned()], |options| {
        options.gpu = Some(faulty.clone());
    });
    rig.until("a", |view| view.actual.active == 2);
    faulty.0.store(true, Ordering::SeqCst);
    rig.wait("the fault", || !rig.snapshot().alerts.is_empty());
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || drop(tell.send(rig.scheduler.stop(PATIENCE))));
    let last = told.recv_timeout(2 * PATIENCE).expect("it stops");
    assert_eq!(last, None, "there is no last snapshot");
}
