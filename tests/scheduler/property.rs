//! Any sequence of changes, requests and failures, checked against a reference: the pure arithmetic
//! gives the state, the callers count the answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;

use divvy::layout::{
    Auto, Change, CoreOwner, CoreRequest, CoreSelection, DesiredState, Edit, Overflow, QueuePolicy,
    Slo,
};
use divvy::machine::{Description, Machine};
use divvy::scheduler::{Control, CoreLending, LoanRequest};
use divvy::telemetry::{Applied, Author, ModelView};

use super::test_scheduler::*;

const CORES: usize = 6;

/// One step of a sequence.
#[derive(Clone, Debug)]
enum Event {
    Change(Change),
    Undo,
    Redo,
    Lend(LoanRequest),
    Reclaim,
    Submit(usize, usize),
    Fail(usize, u64),
    Panic(usize, u64),
    Slow(usize, u64),
    BuildFails(usize, bool),
    BuildSlow(usize, u64),
    Stop,
}

fn name(at: usize) -> String {
    format!("m{at}")
}

fn names() -> impl Strategy<Value = String> {
    (0usize..4).prop_map(name)
}

fn lists() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["0", "0-1", "2-3", "1,3,5", "4-5", "0-5"]).prop_map(str::to_owned)
}

fn autos() -> impl Strategy<Value = Auto> {
    prop_oneof![Just(Auto::Auto), (1usize..4).prop_map(Auto::Exactly)]
}

fn requests() -> impl Strategy<Value = CoreRequest> {
    prop_oneof![
        lists().prop_map(|list| CoreRequest::List(set(&list))),
        (0usize..4).prop_map(CoreRequest::Count),
        (1u32..100).prop_map(|percent| CoreRequest::Share(f64::from(percent))),
    ]
}

fn budgets() -> impl Strategy<Value = divvy::layout::Budget> {
    (names(), requests(), any::<bool>(), autos()).prop_map(|(name, cores, reserve, threads)| {
        divvy::layout::Budget { cores, reserve, threads, ..row(&name, "0") }
    })
}

fn core_owners() -> impl Strategy<Value = CoreOwner> {
    prop_oneof![1 => Just(CoreOwner::Free), 3 => names().prop_map(CoreOwner::Model)]
}

fn edits() -> impl Strategy<Value = Edit> {
    prop_oneof![
        5 => ((1usize..3), core_owners(), core_owners(), prop::bool::weighted(0.2)).prop_map(
            |(count, from, to, share)| {
                Edit::TransferCores { cores: CoreSelection::Count(count), from, to, share }
            }
        ),
        2 => (names(), requests()).prop_map(|(model, cores)| Edit::SetCores { model, cores }),
        2 => (names(), autos())
            .prop_map(|(model, concurrency)| Edit::SetConcurrency { model, concurrency }),
        1 => (1usize..3, names(), names())
            .prop_map(|(count, from, to)| Edit::TransferConcurrency { count, from, to }),
        2 => (names(), autos()).prop_map(|(model, threads)| Edit::SetThreads { model, threads }),
        1 => (names(), any::<bool>())
            .prop_map(|(model, reserve)| Edit::SetReserve { model, reserve }),
        1 => (names(), any::<bool>()).prop_map(|(model, paused)| Edit::Pause { model, paused }),
        2 => (names(), 0u32..66).prop_map(|(model, weight)| Edit::SetWeight { model, weight }),
        1 => (names(), 1usize..200, any::<bool>()).prop_map(|(model, limit, block)| {
            let overflow = if block { Overflow::Block } else { Overflow::Reject };
            Edit::SetQueue { model, queue: QueuePolicy { limit, overflow, ..QueuePolicy::default() } }
        }),
        1 => (names(), prop::option::of(1u64..100)).prop_map(|(model, ms)| {
            let slo = ms.map(|ms| Slo { percentile: 99.0, bound: Duration::from_millis(ms) });
            Edit::SetSlo { model, slo }
        }),
        1 => prop::collection::vec(budgets(), 1..4)
            .prop_map(|models| Edit::Load { layout: Box::new(layout(models)) }),
        1 => budgets().prop_map(|budget| Edit::Add { budget: Box::new(budget) }),
        1 => names().prop_map(|model| Edit::Remove { model }),
    ]
}

fn loans() -> impl Strategy<Value = LoanRequest> {
    (0usize..CORES, prop::option::of(names()), names()).prop_map(|(core, lender, borrower)| {
        LoanRequest { cores: set(&core.to_string()), lender, borrower, duration: None }
    })
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => prop::collection::vec(edits(), 1..3).prop_map(|edits| Event::Change(Change { edits })),
        1 => Just(Event::Undo),
        1 => Just(Event::Redo),
        4 => loans().prop_map(Event::Lend),
        1 => Just(Event::Reclaim),
        6 => (0usize..4, 1usize..60).prop_map(|(model, count)| Event::Submit(model, count)),
        1 => (0usize..4, 0u64..8).prop_map(|(model, every)| Event::Fail(model, every)),
        1 => (0usize..4, 0u64..8).prop_map(|(model, every)| Event::Panic(model, every)),
        1 => (0usize..4, 0u64..300).prop_map(|(model, us)| Event::Slow(model, us)),
        1 => (0usize..4, any::<bool>()).prop_map(|(model, fails)| Event::BuildFails(model, fails)),
        1 => (0usize..4, 0u64..20).prop_map(|(model, ms)| Event::BuildSlow(model, ms)),
        1 => prop::bool::weighted(0.05).prop_map(|stop| {
            if stop { Event::Stop } else { Event::Submit(0, 1) }
        }),
    ]
}

/// Checks that a reserved core is in one row only, and that each row has allowed cores.
fn assert_sound(desired: &DesiredState, machine: &Description) {
    for row in &desired.rows {
        assert!(row.cores.is_subset(&machine.limits.allowed));
        for other in desired.rows.iter().filter(|other| other.budget.name != row.budget.name) {
            assert!(!row.budget.reserve || row.cores.is_disjoint(&other.cores));
        }
    }
}

/// Checks that no loan puts two models on a core that one of them has reserved.
fn assert_reserves_hold(models: &[ModelView]) {
    let cores = |view: &ModelView| view.actual.effective_cores.unwrap_or(view.row.cores);
    for (at, view) in models.iter().enumerate() {
        for (_, other) in models.iter().enumerate().filter(|(other, _)| *other != at) {
            let is_apart = cores(view).is_disjoint(&cores(other));
            assert!(is_apart || !view.row.budget.reserve, "{view:?} {other:?}");
        }
    }
}

/// The state that the pure arithmetic derives from the journal.
struct Reference {
    state: DesiredState,
    seen: u64,
}

impl Reference {
    /// Applies the new entries: the caller's own, and rollbacks of failed builds.
    fn follow(&mut self, test: &TestScheduler, machine: &Description, own: Option<&Applied>) {
        let seen = self.seen;
        for entry in test.scheduler.journal().iter().filter(|entry| entry.id > seen) {
            self.seen = entry.id;
            let own = own.filter(|applied| applied.id == entry.id);
            let stepped = entry.undoes.is_some() || entry.redoes.is_some();
            self.state = match own.filter(|_| stepped) {
                Some(applied) => applied.plan.after.clone(),
                None => self.state.change(&entry.change, machine).unwrap(),
            };
            if let Some(applied) = own {
                assert_eq!(applied.plan.after, self.state);
            } else {
                assert_eq!(entry.author, Author::Scheduler);
            }
        }
    }
}

fn run(events: Vec<Event>) {
    let models: Vec<_> = [(0, "0-1"), (1, "2-3"), (2, "4")]
        .into_iter()
        .map(|(at, cores)| row(&name(at), cores))
        .collect();
    let scripted: Vec<String> = (0..4).map(name).collect();
    let first = layout(models.clone());
    let test = TestScheduler::start_with(CORES, models, &scripted, |options| {
        // The machine does not change here.
        options.machine_check = Duration::from_mins(1);
    });
    let machine = test.machine.describe();
    let mut reference =
        Reference { state: DesiredState::resolve(&first, &machine).unwrap(), seen: 0 };
    let answers: Vec<Arc<Answers>> = (0..4).map(|_| Arc::default()).collect();
    let mut loans = Vec::new();
    for event in events {
        match event {
            Event::Change(change) => {
                let earlier = reference.state.change(&change, &machine);
                match test.scheduler.apply(change.clone(), Author::Api) {
                    Ok(applied) => {
                        assert_eq!(applied.differences, Vec::<String>::new());
                        reference.follow(&test, &machine, Some(&applied));
                    }
                    Err(refusal) => {
                        reference.follow(&test, &machine, None);
                        let later = reference.state.change(&change, &machine);
                        let same =
                            |other: Result<DesiredState, _>| other.err() == Some(refusal.clone());
                        assert!(same(earlier) || same(later), "{refusal} of {change:?}");
                    }
                }
            }
            Event::Undo => {
                let step = test.scheduler.undo(Author::Api);
                reference.follow(&test, &machine, step.ok().as_ref());
            }
            Event::Redo => {
                let step = test.scheduler.redo(Author::Api);
                reference.follow(&test, &machine, step.ok().as_ref());
            }
            Event::Lend(request) => {
                let layout = test.scheduler.layout();
                if let Ok(loan) = test.scheduler.lend(request) {
                    assert_eq!(loan.differences, Vec::<String>::new());
                    loans.push(loan.id);
                }
                // A failed build may change it meanwhile.
                reference.follow(&test, &machine, None);
                let now = test.scheduler.layout();
                assert!(now == layout || now == reference.state.layout());
            }
            Event::Reclaim => {
                // Fails if a change has ended it.
                let _ = loans.pop().map(|loan| test.scheduler.reclaim(loan));
            }
            Event::Submit(at, count) => {
                if test.scheduler.client(&name(at)).is_some() {
                    test.submit(&name(at), count, &answers[at]);
                }
            }
            Event::Fail(at, every) => {
                test.scripts.of(&name(at)).fail_every.store(every, Ordering::SeqCst);
            }
            Event::Panic(at, every) => {
                // A trial request that panics too often would lose the instance: not here.
                let every = if every == 1 { 0 } else { every };
                test.scripts.of(&name(at)).panic_every.store(every, Ordering::SeqCst);
            }
            Event::Slow(at, us) => {
                test.scripts.of(&name(at)).sleep_ns.store(us * 1000, Ordering::SeqCst);
            }
            Event::BuildFails(at, fails) => {
                test.scripts.of(&name(at)).build_fails.store(fails, Ordering::SeqCst);
            }
            Event::BuildSlow(at, ms) => {
                let ns = ms * 1_000_000;
                test.scripts.of(&name(at)).build_ns.store(ns, Ordering::SeqCst);
            }
            Event::Stop => break,
        }
        assert_sound(&reference.state, &machine);
        let snapshot = test.snapshot();
        for view in &snapshot.models {
            assert!(view.counts.balanced(), "{:?}", view.counts);
        }
        assert_reserves_hold(&snapshot.models);
    }
    // Once builds succeed again, a change to each row repairs it.
    let reference = std::cell::RefCell::new(reference);
    test.recover(|applied| reference.borrow_mut().follow(&test, &machine, Some(&applied)));
    let mut reference = reference.into_inner();
    reference.follow(&test, &machine, None);
    assert_eq!(test.scheduler.layout(), reference.state.layout());
    for row in &reference.state.rows {
        let view = test.until(&row.budget.name, |view| warm(view) && view.row == *row);
        let masks = test.machine.masks();
        for thread in view.actual.threads.iter().filter(|_| !row.cores.is_empty()) {
            assert_eq!(masks.get(&thread.id), Some(&row.cores), "{}", row.budget.name);
            assert_eq!(thread.nice, Some(reference.state.nice(row)), "{}", row.budget.name);
        }
    }
    let last = test.scheduler.stop(PATIENCE).unwrap();
    test.wait("answers", || answers.iter().all(|answers| answers.all()));
    for view in &last.models {
        assert!(view.counts.balanced());
        assert_eq!(view.counts.queued + view.counts.blocked + view.counts.executing, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_matches_the_arithmetic(
        events in prop::collection::vec(events(), 1..60)
    ) {
        run(events);
    }
}
