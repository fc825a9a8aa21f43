//! Undo and redo.

use divvy::layout::{Edit, Layout};
use divvy::scheduler::Control;
use divvy::telemetry::{Author, CallerName};

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
            let undone = test.scheduler.undo(Author::Api).unwrap();
            let entry = test.scheduler.journal().pop().unwrap();
            assert_eq!(entry.id, undone.id);
            assert!(entry.undoes.is_some() && entry.redoes.is_none());
            assert_eq!(rows(&test), *state, "round {round}");
        }
        assert!(test.scheduler.undo(Author::Api).unwrap_err().reason.contains("no change"));
        for state in states.iter().skip(1) {
            test.scheduler.redo(Author::Api).unwrap();
            assert_eq!(rows(&test), *state, "round {round}");
        }
        assert!(test.scheduler.redo(Author::Api).unwrap_err().reason.contains("redo"));
    }
    test.scheduler.undo(Author::Api).unwrap();
    test.apply(concurrency("b", 7));
    assert!(test.scheduler.redo(Author::Api).is_err(), "a new change ends what can be redone");
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
    test.scheduler.undo(Author::Api).unwrap();
    assert_eq!(rows(&test), before);
    test.until("a", |view| view.actual.active == 1);
    test.scheduler.redo(Author::Api).unwrap();
    assert_eq!(rows(&test), after);
}

#[test]
fn undo_restores_row_order() {
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "2"), row("c", "3")]);
    let before = rows(&test);
    let mut next = layout(vec![row("c", "3"), row("a", "0-2")]);
    "night".clone_into(&mut next.description);
    test.apply(Edit::Load { layout: Box::new(next.clone()) });
    test.scheduler.undo(Author::Api).unwrap();
    assert_eq!(rows(&test), before);
    test.scheduler.redo(Author::Api).unwrap();
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
    test.scheduler.undo(Author::Api).unwrap();
    test.machine.set_cpuset(set("0,2-3"));
    test.until("a", |view| view.row.cores == set("0"));
    // A change of the machine does not clear what can be redone.
    test.scheduler.redo(Author::Api).unwrap();
    assert_eq!(rows(&test), states[3]);
    for state in states.iter().rev().skip(1) {
        test.scheduler.undo(Author::Api).unwrap();
        assert_eq!(rows(&test), *state, "what was asked for is back");
        test.until("a", |view| view.row.cores == set("0") && view.actual.difference.is_none());
    }
    assert!(test.scheduler.undo(Author::Api).unwrap_err().reason.contains("no change"));
    test.machine.set_cpuset(set("0-3"));
    test.until("a", |view| view.row.cores == set("0-1"));
    for state in states.iter().skip(1) {
        test.scheduler.redo(Author::Api).unwrap();
        assert_eq!(rows(&test), *state);
    }
    test.until("a", |view| view.row.cores == set("0-1") && view.actual.difference.is_none());
}

fn remote(name: &str) -> Author {
    Author::Remote(CallerName::new(name))
}

#[test]
fn undo_takes_the_callers_own_change() {
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "2-3")]);
    let apply = |edit: Edit, author| test.scheduler.apply(edit.into(), author).unwrap().id;
    let (ana, ben) = (remote("ana/console"), remote("ben/cli"));
    let first = apply(concurrency("a", 1), ana.clone());
    apply(concurrency("b", 1), Author::Autopilot);
    let own = test.scheduler.undo(ana.clone()).unwrap();
    assert_eq!(own.of, Some(first));
    for other in [ana, ben.clone()] {
        let refusal = test.scheduler.undo(other).unwrap_err();
        assert_eq!(refusal.change, Some(2));
        let refusal = refusal.reason;
        assert!(refusal.contains("divvy undo 2") && refusal.contains("autopilot"), "{refusal}");
    }
    assert_eq!(test.scheduler.undo_change(2, ben).unwrap().of, Some(2));
}

#[test]
fn undo_names_the_later_change() {
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "2-3")]);
    let apply = |edit: Edit, author| test.scheduler.apply(edit.into(), author).unwrap().id;
    let ana = remote("ana/console");
    let first = apply(concurrency("a", 1), ana.clone());
    let later = apply(threads("a", 2), remote("ben/night"));
    let refusal = test.scheduler.undo(ana.clone()).unwrap_err();
    assert_eq!((refusal.model.as_deref(), refusal.change), (Some("a"), Some(later)));
    let named = format!("divvy undo {later}");
    assert!(refusal.reason.contains(&named) && refusal.reason.contains("ben/night"), "{refusal}");
    test.scheduler.undo_change(later, ana.clone()).unwrap();
    assert_eq!(test.scheduler.undo(ana).unwrap().of, Some(first));
}

#[test]
fn undo_by_number_has_its_limits() {
    let test = TestScheduler::start(2, vec![row("a", "0-1")]);
    let id = test.apply(concurrency("a", 1)).id;
    let undo = |id| test.scheduler.undo_change(id, Author::Console);
    let step = undo(id).unwrap();
    for (id, words) in [(id, "undone already"), (step.id, "an undo"), (99, "no change 99")] {
        let refusal = undo(id).unwrap_err().reason;
        assert!(refusal.contains(words), "{refusal}");
    }
}

#[test]
fn redo_belongs_to_who_undid() {
    let test = TestScheduler::start(4, vec![row("a", "0-1"), row("b", "2-3")]);
    let (ana, ben) = (remote("ana/console"), remote("ben/cli"));
    let id = test.scheduler.apply(concurrency("a", 1).into(), ana.clone()).unwrap().id;
    test.scheduler.undo(ana.clone()).unwrap();
    assert!(test.scheduler.redo(ben.clone()).is_err());
    // a change of another caller does not end what can be redone
    test.scheduler.apply(concurrency("b", 1).into(), ben).unwrap();
    assert_eq!(test.scheduler.redo(ana).unwrap().of, Some(id));
}
