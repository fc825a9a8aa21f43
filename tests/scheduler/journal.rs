//! The stream of journal entries, and alerts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use divvy::scheduler::{Control, VerdictWindows};
use divvy::telemetry::{Author, JournalChannel, JournalEntry, VerdictStatus};

use super::test_scheduler::*;

#[test]
fn journal_receiver_gets_every_entry() {
    let JournalChannel { sender, receiver } = JournalChannel::default();
    let test = TestScheduler::start_with(3, vec![row("a", "0-2")], &["a".to_owned()], |options| {
        options.journal = Some(sender);
        options.windows = VerdictWindows {
            length: Duration::from_millis(20),
            shortest: Duration::from_millis(10),
            settle: Duration::from_millis(1),
        };
    });
    // Otherwise the first changes are building, and have one more version.
    test.until("a", |view| view.actual.active == 3 && warm(view));
    for round in 0..200 {
        test.apply(concurrency("a", 1 + round % 2));
    }
    test.scheduler.undo(Author::Api).unwrap();
    let open = |entry: &Arc<JournalEntry>| {
        entry.verdicts.iter().any(|verdict| verdict.status == VerdictStatus::Open)
    };
    test.wait("the verdicts", || !test.scheduler.journal().iter().any(open));
    let kept = test.scheduler.journal();
    drop(test);
    // The stream ends, since the scheduler has dropped its sender.
    let mut received = 0;
    let mut newest: BTreeMap<u64, Arc<JournalEntry>> = BTreeMap::new();
    while let Ok(entry) = receiver.recv() {
        received += 1;
        newest.insert(entry.id, entry);
    }
    assert_eq!(kept.len(), 201);
    // Once when it is made, once with its verdict, and once more for the undone one.
    assert_eq!(received, 2 * 201 + 1);
    assert!(newest[&200].undone);
    assert_eq!(newest.into_values().collect::<Vec<_>>(), kept);
}

#[test]
fn conditions_are_alerts() {
    let conditions = divvy::telemetry::Conditions::default();
    let test = TestScheduler::start_with(1, vec![row("a", "0")], &["a".to_owned()], |options| {
        options.conditions = conditions.clone();
    });
    let is_alerted = || {
        let snapshot = test.scheduler.snapshots().borrow().clone();
        snapshot.alerts.iter().any(|alert| alert.text == "the disk is full")
    };
    assert!(!is_alerted());
    conditions.raise("journal", "the disk is full".to_owned());
    test.wait("the alert", is_alerted);
    conditions.clear("journal");
    test.wait("no alert", || !is_alerted());
}
