//! Loans of cores: masks move, and neither the layout nor the journal does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use divvy::layout::{CoreRequest, Edit};
use divvy::machine::{CpuSet, SimulatedClock, ThreadId};
use divvy::scheduler::{Control, CoreLending, LoanId, LoanRequest};
use divvy::telemetry::{JournalChannel, LoanView};

use super::test_scheduler::*;

/// Three models on four of five cores.
fn start() -> TestScheduler {
    TestScheduler::start(5, vec![row("a", "0-1"), row("b", "2"), row("c", "3")])
}

fn request(cores: &str, lender: Option<&str>, borrower: &str) -> LoanRequest {
    let lender = lender.map(str::to_owned);
    LoanRequest { cores: set(cores), lender, borrower: borrower.to_owned(), duration: None }
}

fn lend(test: &TestScheduler, cores: &str, lender: Option<&str>, borrower: &str) -> LoanId {
    let loan = test.scheduler.lend(request(cores, lender, borrower)).unwrap();
    assert_eq!(loan.differences, [""; 0]);
    loan.id
}

/// Returns the masks of a model's threads in the kernel, which must be equal.
fn mask(test: &TestScheduler, model: &str) -> CpuSet {
    let masks: BTreeMap<ThreadId, CpuSet> = test.machine.masks();
    let view = test.snapshot().model(model).unwrap().clone();
    let threads: Vec<CpuSet> = view.actual.threads.iter().map(|thread| masks[&thread.id]).collect();
    assert!(threads.windows(2).all(|pair| pair[0] == pair[1]), "{threads:?}");
    threads[0]
}

fn set_cores(model: &str, cores: &str) -> Edit {
    Edit::SetCores { model: model.to_owned(), cores: CoreRequest::List(set(cores)) }
}

#[test]
fn loan_moves_masks_at_once() {
    let test = start();
    lend(&test, "1", Some("a"), "b");
    assert_eq!((mask(&test, "a"), mask(&test, "b")), (set("0"), set("1-2")));
    lend(&test, "4", None, "c");
    assert_eq!(mask(&test, "c"), set("3-4"));
}

#[test]
fn loan_is_no_change() {
    let JournalChannel { sender, receiver } = JournalChannel::default();
    let names = ["a".to_owned(), "b".to_owned()];
    let rows = vec![row("a", "0-1"), row("b", "2")];
    let test = TestScheduler::start_with(3, rows, &names, |options| {
        options.journal = Some(sender);
    });
    let (layout, version) = (test.scheduler.layout(), test.scheduler.version());
    let loan = lend(&test, "1", Some("a"), "b");
    test.scheduler.reclaim(loan).unwrap();
    assert_eq!(test.scheduler.layout(), layout);
    assert_eq!(test.scheduler.version(), version);
    assert_eq!((test.scheduler.journal().len(), receiver.arrived().count()), (0, 0));
    let undo = test.scheduler.undo(divvy::telemetry::Author::Api).unwrap_err();
    assert!(undo.reason.contains("no change to undo"), "{undo}");
}

#[test]
fn snapshot_shows_effective_cores() {
    let test = start();
    let loan = lend(&test, "1", Some("a"), "b");
    let view = test.until("b", |view| view.actual.effective_cores.is_some());
    assert_eq!(view.actual.effective_cores, Some(set("1-2")));
    assert_eq!((view.row.cores, view.actual.cores), (set("2"), set("1-2")));
    assert_eq!(view.actual.difference, None, "a loan is no fault");
    test.scheduler.reclaim(loan).unwrap();
    test.until("b", |view| view.actual.effective_cores.is_none());
}

#[test]
fn snapshot_lists_loans() {
    let test = start();
    let loan = lend(&test, "1", Some("a"), "b");
    test.apply(Edit::Rename { model: "a".to_owned(), to: "x".to_owned() });
    test.until("x", |view| view.actual.effective_cores.is_some());
    let expected = LoanView {
        id: loan.0,
        cores: set("1"),
        lender: Some("x".to_owned()),
        borrower: "b".to_owned(),
        ends_at_unix_ms: None,
    };
    assert_eq!(test.snapshot().loans, [expected]);
    test.scheduler.reclaim(loan).unwrap();
    test.until("x", |view| view.actual.effective_cores.is_none());
    assert!(test.snapshot().loans.is_empty());
}

#[test]
fn reclaim_restores_the_rows() {
    let test = start();
    let loan = lend(&test, "1", Some("a"), "b");
    test.scheduler.reclaim(loan).unwrap();
    assert_eq!((mask(&test, "a"), mask(&test, "b")), (set("0-1"), set("2")));
    let refusal = test.scheduler.reclaim(loan).unwrap_err();
    assert!(refusal.reason.contains("loan 1 has ended"), "{refusal}");
}

#[test]
fn change_of_either_row_ends_the_loan() {
    for model in ["a", "b"] {
        let test = start();
        let loan = lend(&test, "1", Some("a"), "b");
        test.apply(Edit::SetWeight { model: model.to_owned(), weight: 7 });
        assert_eq!((mask(&test, "a"), mask(&test, "b")), (set("0-1"), set("2")), "{model}");
        assert!(test.scheduler.reclaim(loan).is_err());
    }
}

#[test]
fn change_of_another_row_keeps_the_loan() {
    let test = start();
    let loan = lend(&test, "1", Some("a"), "b");
    test.apply(set_cores("c", "3-4"));
    assert_eq!((mask(&test, "a"), mask(&test, "b")), (set("0"), set("1-2")));
    test.scheduler.reclaim(loan).unwrap();
}

#[test]
fn new_owner_of_a_lent_core_ends_the_loan() {
    let test = start();
    lend(&test, "4", None, "b");
    test.apply(set_cores("c", "3-4"));
    assert_eq!((mask(&test, "b"), mask(&test, "c")), (set("2"), set("3-4")));
}

#[test]
fn removal_of_a_party_ends_the_loan() {
    let test = start();
    lend(&test, "1", Some("a"), "b");
    test.apply(Edit::Remove { model: "b".to_owned() });
    assert_eq!(mask(&test, "a"), set("0-1"));
}

#[test]
fn rename_keeps_the_loan() {
    let test = start();
    let loan = lend(&test, "1", Some("a"), "b");
    test.apply(Edit::Rename { model: "a".to_owned(), to: "x".to_owned() });
    test.until("x", |view| view.actual.effective_cores == Some(set("0")));
    test.scheduler.reclaim(loan).unwrap();
    assert_eq!(mask(&test, "x"), set("0-1"));
}

#[test]
fn machine_change_ends_all_loans() {
    let test = start();
    let loan = lend(&test, "1", Some("a"), "b");
    test.machine.set_quota(Some(4.5));
    test.until("a", |view| view.actual.effective_cores.is_none());
    assert_eq!((mask(&test, "a"), mask(&test, "b")), (set("0-1"), set("2")));
    assert!(test.scheduler.reclaim(loan).is_err());
}

#[test]
fn threads_that_join_get_the_effective_cores() {
    let test = start();
    lend(&test, "0", Some("a"), "b");
    test.apply(concurrency("c", 2));
    let script = test.scripts.of("b");
    script.panic_every.store(1, std::sync::atomic::Ordering::SeqCst);
    let answers = Arc::new(Answers::default());
    test.submit("b", 1, &answers);
    test.wait("the failure", || answers.all());
    script.panic_every.store(0, std::sync::atomic::Ordering::SeqCst);
    test.until("b", |view| view.actual.active == 1 && view.actual.cores == set("0,2"));
}

#[test]
fn refuses_what_cannot_be_lent() {
    let test = start();
    let refused = |cores: &str, lender: Option<&str>, borrower: &str| {
        let masks = test.machine.masks();
        let refusal = test.scheduler.lend(request(cores, lender, borrower)).unwrap_err();
        assert_eq!(test.machine.masks(), masks);
        refusal.reason
    };
    assert!(refused("0-1", Some("a"), "b").contains("at least one core"));
    assert!(refused("4", Some("a"), "b").contains("does not have all"));
    assert!(refused("0", Some("a"), "a").contains("already has"));
    assert!(refused("3", None, "b").contains("has some of the cores 3 too"));
    assert!(refused("9", None, "b").contains("not allowed"));
    assert!(refused("1", Some("a"), "x").contains("no model of this name"));
    test.apply(set_cores("c", "1,3"));
    test.until("c", warm);
    assert!(refused("1", Some("a"), "b").contains("has some of the cores 1 too"));
    test.apply(set_cores("c", "3"));
    test.until("c", warm);
    lend(&test, "1", Some("a"), "b");
    assert!(refused("1", Some("a"), "c").contains("already lent"));
    assert!(refused("0", Some("a"), "c").contains("at least one core"));
}

#[test]
fn loan_ends_after_its_duration() {
    let clock = Arc::new(SimulatedClock::new(0));
    let names = ["a".to_owned(), "b".to_owned()];
    let rows = vec![row("a", "0-1"), row("b", "2")];
    let test = TestScheduler::start_with(3, rows, &names, |options| options.clock = clock.clone());
    let duration = Some(Duration::from_hours(1));
    let loan = LoanRequest { duration, ..request("1", Some("a"), "b") };
    let loan = test.scheduler.lend(loan).unwrap().id;
    let has_loan = || {
        let snapshot = test.snapshot();
        snapshot.model("a").is_some_and(|view| view.actual.effective_cores.is_some())
    };
    test.wait("the loan", has_loan);
    let shown = test.snapshot().loans.clone();
    let times: Vec<_> = shown.iter().map(|loan| loan.ends_at_unix_ms).collect();
    assert_eq!(times, [Some(3_600_000)]);
    clock.advance(Duration::from_mins(59));
    test.apply(Edit::Rename { model: "b".to_owned(), to: "x".to_owned() });
    assert_eq!(test.snapshot().model("a").unwrap().actual.effective_cores, Some(set("0")));
    clock.advance(Duration::from_mins(1));
    test.wait("its end", || !has_loan());
    assert!(test.scheduler.reclaim(loan).is_err());
}
