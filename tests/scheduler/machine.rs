//! Changes of the machine, moved threads, and panics of the observer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use divvy::machine::{AffinityError, CoreId, Machine, ThreadId};
use divvy::scheduler::Control;
use divvy::telemetry::gpu::GpuSource;
use divvy::telemetry::{Author, Conditions, GpuView, ModelState, ModelView};

use super::test_scheduler::*;

#[test]
fn layout_follows_the_machine() {
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "2-3")]);
    let answers = Arc::new(Answers::default());
    test.scripts.of("a").sleep_ns.store(1_000_000, Ordering::SeqCst);
    test.submit("a", 500, &answers);
    test.machine.set_cpuset(set("0,2-3"));
    let view = test.until("a", |view| view.row.cores == set("0"));
    assert_eq!(view.row.concurrency, 1, "auto follows the cores");
    test.until("a", |view| view.actual.cores == set("0"));
    let entry = test.scheduler.journal().pop().unwrap();
    assert_eq!(entry.author, Author::Scheduler);
    assert!(entry.summary.starts_with("the machine changed"), "{}", entry.summary);
    assert!(entry.warnings.iter().any(|line| line.contains("lost core 1")), "{entry:?}");
    test.machine.set_online(CoreId(2), false);
    test.machine.set_online(CoreId(3), false);
    let view = test.until("b", |view| view.row.cores.is_empty());
    assert_eq!(view.row.concurrency, 0, "a list without a core is paused");
    test.machine.set_online(CoreId(2), true);
    test.machine.set_online(CoreId(3), true);
    test.machine.set_cpuset(set("0-3"));
    test.until("a", |view| view.actual.cores == set("0-1") && view.actual.active == 2);
    test.until("b", |view| view.actual.cores == set("2-3") && view.actual.active == 2);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 500);
}

#[test]
fn refused_mask_is_tried_again() {
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "2-3")]);
    let refused =
        AffinityError::Refused { thread: ThreadId::of_tid(1), reason: "scripted".to_owned() };
    test.machine.refuse_next(refused);
    let applied = test.apply(transfer(1, "a", "b"));
    assert_eq!(applied.differences.len(), 1);
    assert!(applied.differences[0].contains("scripted"), "{:?}", applied.differences);
    let at = applied.plan.after.clone();
    for name in ["a", "b"] {
        let want = at.row(name).unwrap().cores;
        test.until(name, |view| view.actual.cores == want && view.actual.difference.is_none());
    }
}

#[test]
fn thread_moved_from_outside_is_restored() {
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "2-3")]);
    let thread = test.until("a", |view| view.actual.threads.len() == 2).actual.threads[0].id;
    let entries = test.scheduler.journal().len();
    let message = format!("thread {thread} was moved from outside: it is allowed on 3, not on 0-1");
    test.until("a", |view| {
        // Repeated, since it is reported only until the next check.
        test.machine.set_affinity(thread, &set("3")).unwrap();
        view.actual.difference.as_ref() == Some(&message)
    });
    // The last move may have come after the owner restored it; the next check finds it.
    test.wait("restored", || test.machine.masks()[&thread] == set("0-1"));
    test.until("a", |view| view.actual.difference.is_none() && view.actual.cores == set("0-1"));
    assert_eq!(test.scheduler.journal().len(), entries, "the desired state has not changed");
}

/// A source of GPU metrics that can panic.
#[derive(Default)]
struct FaultyGpus(AtomicBool);

impl GpuSource for FaultyGpus {
    fn latest(&self) -> Arc<GpuView> {
        if self.0.load(Ordering::SeqCst) {
            std::panic::resume_unwind(Box::new("a planted fault"));
        }
        Arc::default()
    }
}

#[test]
fn observer_survives_a_panic() {
    let (faulty, conditions) = (Arc::new(FaultyGpus::default()), Conditions::default());
    let test = TestScheduler::start_with(2, vec![row("a", "0-1")], &["a".to_owned()], |options| {
        options.gpu = Some(faulty.clone());
        options.conditions = conditions.clone();
    });
    test.until("a", |view| view.actual.active == 2);
    faulty.0.store(true, Ordering::SeqCst);
    // The last snapshot stays, with an alert.
    test.wait("the alert", || {
        let shown = test.snapshot();
        let message = "the display is not updating: a bug in divvy (a planted fault)";
        shown.models.len() == 1 && shown.alerts.iter().any(|alert| alert.text.contains(message))
    });
    // A change meanwhile is shown after the recovery.
    test.apply(concurrency("a", 1));
    faulty.0.store(false, Ordering::SeqCst);
    test.until("a", |view| view.row.concurrency == 1 && view.actual.active == 1);
    test.wait("no condition", || conditions.alerts().is_empty());
    test.wait("no alert", || {
        test.snapshot().alerts.iter().all(|alert| !alert.text.contains("a planted fault"))
    });
    assert_eq!(test.scheduler.stop(PATIENCE).unwrap().models.len(), 1);
}

#[test]
fn stop_ends_despite_observer_panics() {
    let faulty = Arc::new(FaultyGpus::default());
    let test = TestScheduler::start_with(2, vec![row("a", "0-1")], &["a".to_owned()], |options| {
        options.gpu = Some(faulty.clone());
    });
    test.until("a", |view| view.actual.active == 2);
    faulty.0.store(true, Ordering::SeqCst);
    test.wait("the fault", || !test.snapshot().alerts.is_empty());
    let (sender, stopped) = std::sync::mpsc::channel();
    std::thread::spawn(move || drop(sender.send(test.scheduler.stop(PATIENCE))));
    let last = stopped.recv_timeout(2 * PATIENCE).expect("it stops");
    assert_eq!(last, None, "there is no final snapshot");
}

#[test]
fn nice_value_set_from_outside_is_restored() {
    let test = TestScheduler::start(2, vec![row("a", "0"), row("b", "1")]);
    let thread = test.until("a", |view| view.actual.threads.len() == 1).actual.threads[0].id;
    let message =
        format!("thread {thread} was given another nice value from outside: it has 7, not 0");
    test.until("a", |view| {
        // Repeated, since it is reported only until the next check.
        test.machine.set_nice(thread, 7).unwrap();
        view.actual.difference.as_ref() == Some(&message)
    });
    let has_nice = |nice| {
        move |view: &ModelView| view.actual.threads.iter().all(|thread| thread.nice == Some(nice))
    };
    test.until("a", |view| has_nice(0)(view) && view.actual.difference.is_none());

    test.machine.forbid_raising();
    test.machine.set_nice(thread, 7).unwrap();
    let view = test.until("a", |view| {
        view.actual.difference.as_ref().is_some_and(|text| text.contains("CAP_SYS_NICE"))
    });
    assert!(has_nice(7)(&view), "it may not be raised, so it stays reported");
    assert_eq!(view.state, ModelState::Running);
}
