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
fn undo_brings_a_removed_model_back() {
    let rig = Rig::start(2, vec![row("a", "0"), row("b", "1")]);
    rig.apply(Edit::Remove { model: "a".to_owned() });
    assert!(rig.scheduler.client("a").is_none());
    rig.scheduler.undo(Author::Console).unwrap();
    rig.until("a", |view| view.actual.active == 1);
}

#[test]
fn undo_is_refused_when_a_later_change_touched_the_row() {
    let rig = Rig::start(4, vec![row("a", "0-1"), row("b", "2-3")]);
    rig.apply(concurrency("a", 1));
    rig.machine.set_cpuset(set("0,2-3"));
    rig.until("a", |view| view.row.cores == set("0"));
    let before = rows(&rig);
    let refusal = rig.scheduler.undo(Author::Console).unwrap_err();
    assert_eq!(refusal.model.as_deref(), Some("a"));
    assert!(refusal.reason.contains("later change"), "{refusal}");
    assert_eq!(rows(&rig), before);
}
