//! Undo and redo.

use divvy::layout::{Edit, Layout};
use divvy::scheduler::Control;
use divvy::telemetry::Author;

use super::test_scheduler::*;

fn rows(test: &TestScheduler) -> Layout {
    test.scheduler.layout()
}

#[test]
fn undo_reaches_any_depth() {
    let test = TestScheduler::start(6, vec![row("a", "0-3"), row("b", "4-5")]);
    let mut states = vec![rows(&test)];
    let edits = [
        transfer(1, "a", "b"),
        concurrency("a", 1),
        transfer(2, "a", "b"),
        Edit::Pause { model: "b".to_owned(), paused: true },
        threads("a", 2),
        transfer(1, "b", "a"),
    ];
    for edit in edits {
        test.apply(edit);
        states.push(rows(&test));
    }
    for round in 0..3 {
        for state in states.iter().rev().skip(1) {
            let undone = test.scheduler.undo(Author::Console).unwrap();
            let entry = test.scheduler.journal().pop().unwrap();
            assert_eq!(entry.id, undone.id);
            assert!(entry.undoes.is_some() && entry.redoes.is_none());
            assert_eq!(rows(&test), *state, "round {round}");
        }
        assert!(test.scheduler.undo(Author::Console).unwrap_err().reason.contains("no change"));
        for state in states.iter().skip(1) {
            test.scheduler.redo(Author::Console).unwrap();
            assert_eq!(rows(&test), *state, "round {round}");
        }
        assert!(test.scheduler.redo(Author::Console).unwrap_err().reason.contains("redo"));
    }
    test.scheduler.undo(Author::Console).unwrap();
    test.apply(concurrency("b", 7));
    assert!(test.scheduler.redo(Author::Console).is_err(), "a new change ends what can be redone");
    let ids: Vec<u64> = test.scheduler.journal().iter().map(|entry| entry.id).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
}

#[test]
fn undo_restores_a_removed_model() {
    let test = TestScheduler::start(2, vec![row("a", "0"), row("b", "1")]);
    let before = rows(&test);
    test.apply(Edit::Remove { model: "a".to_owned() });
    let after = rows(&test);
    assert!(test.scheduler.client("a").is_none());
    test.scheduler.undo(Author::Console).unwrap();
    assert_eq!(rows(&test), before);
    test.until("a", |view| view.actual.active == 1);
    test.scheduler.redo(Author::Console).unwrap();
    assert_eq!(rows(&test), after);
}

#[test]
fn undo_restores_row_order() {
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "2"), row("c", "3")]);
    let before = rows(&test);
    let mut next = layout(vec![row("c", "3"), row("a", "0-2")]);
    "night".clone_into(&mut next.description);
    test.apply(Edit::Load { layout: Box::new(next.clone()) });
    test.scheduler.undo(Author::Console).unwrap();
    assert_eq!(rows(&test), before);
    test.scheduler.redo(Author::Console).unwrap();
    assert_eq!(rows(&test), next);
}

#[test]
fn undo_skips_machine_changes() {
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "2-3")]);
    let mut states = vec![rows(&test)];
    for edit in [concurrency("b", 1), concurrency("a", 1), threads("a", 2)] {
        test.apply(edit);
        states.push(rows(&test));
    }
    test.scheduler.undo(Author::Console).unwrap();
    test.machine.set_cpuset(set("0,2-3"));
    test.until("a", |view| view.row.cores == set("0"));
    // A change of the machine does not clear what can be redone.
    test.scheduler.redo(Author::Console).unwrap();
    assert_eq!(rows(&test), states[3]);
    for state in states.iter().rev().skip(1) {
        test.scheduler.undo(Author::Console).unwrap();
        assert_eq!(rows(&test), *state, "what was asked for is back");
        test.until("a", |view| view.row.cores == set("0") && view.actual.difference.is_none());
    }
    assert!(test.scheduler.undo(Author::Console).unwrap_err().reason.contains("no change"));
    test.machine.set_cpuset(set("0-3"));
    test.until("a", |view| view.row.cores == set("0-1"));
    for state in states.iter().skip(1) {
        test.scheduler.redo(Author::Console).unwrap();
        assert_eq!(rows(&test), *state);
    }
    test.until("a", |view| view.row.cores == set("0-1") && view.actual.difference.is_none());
}
