//! Undo and redo.

use divvy::layout::{Edit, Layout};
use divvy::scheduler::Control;
use divvy::telemetry::Author;

use super::rig::*;

fn rows(rig: &Rig) -> Layout {
    rig.scheduler.layout()
}

#[test]
fn undo_and_redo_go_to_any_depth_and_back() {
    let rig = Rig::start(6, vec![row("a", "0-3"), row("b", "4-5")]);
    let mut states = vec![rows(&rig)];
    let edits = [
        transfer(1, "a", "b"),
        concurrency("a", 1),
        transfer(2, "a", "b"),
        Edit::Pause { model: "b".to_owned(), paused: true },
        threads("a", 2),
        transfer(1, "b", "a"),
    ];
    for edit in edits {
        rig.apply(edit);
        states.push(rows(&rig));
    }
    for round in 0..3 {
        for state in states.iter().rev().skip(1) {
            let undone = rig.scheduler.undo(Author::Console).unwrap();
            let entry = rig.scheduler.journal().pop().unwrap();
            assert_eq!(entry.id, undone.id);
            assert!(entry.undoes.is_some() && entry.redoes.is_none());
            assert_eq!(rows(&rig), *state, "round {round}");
        }
        assert!(rig.scheduler.undo(Author::Console).unwrap_err().reason.contains("no change"));
        for state in states.iter().skip(1) {
            rig.scheduler.redo(Author::Console).unwrap();
            assert_eq!(rows(&rig), *state, "round {round}");
        }
        assert!(rig.scheduler.redo(Author::Console).unwrap_err().reason.contains("redo"));
    }
    rig.scheduler.undo(Author::Console).unwrap();
    rig.apply(concurrency("b", 7));
    assert!(rig.scheduler.redo(Author::Console).is_err(), "a new change ends what can be redone");
    let ids: Vec<u64> = rig.scheduler.journal().iter().map(|entry| entry.id).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
}

#[test]
fn undo_brings_a_removed_model_back_where_it_was() {
    let rig = Rig::start(2, vec![row("a", "0"), row("b", "1")]);
    let before = rows(&rig);
    rig.apply(Edit::Remove { model: "a".to_owned() });
    let after = rows(&rig);
    assert!(rig.scheduler.client("a").is_none());
    rig.scheduler.undo(Author::Console).unwrap();
    assert_eq!(rows(&rig), before);
    rig.until("a", |view| view.actual.active == 1);
    rig.scheduler.redo(Author::Console).unwrap();
    assert_eq!(rows(&rig), after);
}

#[test]
fn undo_of_a_layout_switch_has_its_order_and_its_description_back() {
    let rig = Rig::start(4, vec![row("a", "0-1"), row("b", "2"), row("c", "3")]);
    let before = rows(&rig);
    let mut next = layout(vec![row("c", "3"), row("a", "0-2")]);
    "night".clone_into(&mut next.description);
    rig.apply(Edit::Load { layout: Box::new(next.clone()) });
    rig.scheduler.undo(Author::Console).unwrap();
    assert_eq!(rows(&rig), before);
    rig.scheduler.redo(Author::Console).unwrap();
    assert_eq!(rows(&rig), next);
}

#[test]
fn undo_and_redo_go_over_what_the_machine_did() {
    let rig = Rig::start(4, vec![row("a", "0-1"), row("b", "2-3")]);
    let mut states = vec![rows(&rig)];
    for edit in [concurrency("b", 1), concurrency("a", 1), threads("a", 2)] {
        rig.apply(edit);
        states.push(rows(&rig));
    }
    rig.scheduler.undo(Author::Console).unwrap();
    rig.machine.set_cpuset(set("0,2-3"));
    rig.until("a", |view| view.row.cores == set("0"));
    // what the machine does is nobody's change: what was undone can still be redone
    rig.scheduler.redo(Author::Console).unwrap();
    assert_eq!(rows(&rig), states[3]);
    for state in states.iter().rev().skip(1) {
        rig.scheduler.undo(Author::Console).unwrap();
        assert_eq!(rows(&rig), *state, "what was asked for is back");
        rig.until("a", |view| view.row.cores == set("0") && view.actual.difference.is_none());
    }
    assert!(rig.scheduler.undo(Author::Console).unwrap_err().reason.contains("no change"));
    rig.machine.set_cpuset(set("0-3"));
    rig.until("a", |view| view.row.cores == set("0-1"));
    for state in states.iter().skip(1) {
        rig.scheduler.redo(Author::Console).unwrap();
        assert_eq!(rows(&rig), *state);
    }
    rig.until("a", |view| view.row.cores == set("0-1") && view.actual.difference.is_none());
}
