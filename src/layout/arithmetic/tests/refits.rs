//! Undo, and machines that change.

use super::*;

fn without(machine: &Description, cores: &str) -> Description {
    let mut machine = machine.clone();
    machine.limits.allowed = machine.limits.allowed.difference(&set(cores));
    machine
}

#[test]
fn restore_moves_cores_back() {
    let (desired, machine) = on(8, [count("a", 3), count("b", 2), count("c", 1)]);
    let after = desired.change(&moves(2, "b", "a"), &machine).unwrap();
    let before = desired.rows_before(&after);
    // a later change of c stays
    let later = after.change(&moves(1, "free", "c"), &machine).unwrap();
    let back = later.restore(&before, &machine).unwrap();
    assert_eq!(held(&back), "a 0-2, b 3-4, c 5-6");
    assert_eq!(back.row("a").unwrap().budget, desired.row("a").unwrap().budget);
    assert_eq!(back.rows.iter().map(|row| row.generation).collect::<Vec<_>>(), [2, 2, 1]);
}

#[test]
fn restore_readds_removed_rows() {
    let (desired, machine) = on(8, [count("a", 3), count("b", 2)]);
    let change = Change {
        edits: vec![
            Edit::Remove { model: "b".into() },
            Edit::Add { budget: Box::new(count("c", 2)) },
        ],
    };
    let after = desired.change(&change, &machine).unwrap();
    let back = after.restore(&desired.rows_before(&after), &machine).unwrap();
    assert_eq!(held(&back), held(&desired));
    assert_eq!(back.row("b").unwrap().generation, 1);
}

#[test]
fn undo_restores_order() {
    let (desired, machine) = on(8, [count("a", 3), count("b", 2), count("c", 1)]);
    let mut new = layout([count("c", 2), count("d", 1)]);
    "night".clone_into(&mut new.description);
    let load: Change = Edit::Load { layout: Box::new(new) }.into();
    let after = desired.change(&load, &machine).unwrap();
    assert_eq!(after.description, "night");
    let back = after.undo(&desired, &after, &machine).unwrap();
    assert_eq!(back.layout(), desired.layout());
    assert_eq!(held(&back), held(&desired));
}

#[test]
fn restore_uses_present_cores() {
    let (desired, machine) = on(4, [list("a", "0-1"), list("b", "2")]);
    let after = desired.change(&moves_these("1", "a", "free"), &machine).unwrap();
    let before = desired.rows_before(&after);
    let back = after.restore(&before, &without(&machine, "1")).unwrap();
    assert_eq!(held(&back), "a 0, b 2");
    assert_eq!(back.layout(), desired.layout(), "the request is restored");
    assert_eq!(held(&back.refit(&machine).0), held(&desired));
    // a row from a smaller machine gets all that it asks for
    let (small, _) = desired.refit(&without(&machine, "1"));
    let pause = Change::from(Edit::Pause { model: "a".into(), paused: true });
    let paused = small.change(&pause, &without(&machine, "1")).unwrap();
    let before_pause = small.rows_before(&paused);
    let back = paused.refit(&machine).0.restore(&before_pause, &machine).unwrap();
    assert_eq!(held(&back), held(&desired));
    let reserving = Change {
        edits: vec![
            Edit::SetCores { model: "b".into(), cores: CoreRequest::List(set("1-2")) },
            Edit::SetReserve { model: "b".into(), reserve: true },
        ],
    };
    let later = after.change(&reserving, &machine).unwrap();
    let why = reason(later.restore(&before, &machine));
    assert_eq!(why, "a: core 1 is reserved by b: move it from b, or turn its reserve off first");
}

#[test]
fn list_gets_returned_cores_back() {
    let (desired, machine) = on(4, [list("a", "0-2"), list("b", "3")]);
    let (small, messages) = desired.refit(&without(&machine, "2-3"));
    assert_eq!(held(&small), "a 0-1, b");
    assert_eq!(
        messages,
        ["a lost core 2 and runs on 0-1", "b lost core 3 and has none left: it is paused"]
    );
    assert_eq!(small.row("b").unwrap().concurrency, 0);
    let (back, messages) = small.refit(&machine);
    assert_eq!(held(&back), held(&desired));
    assert_eq!(messages, ["a got core 2 and runs on 0-2", "b got core 3 and runs on 3"]);
    assert_eq!(back.rows.iter().map(|row| row.generation).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn count_prefers_free_cores() {
    let (desired, machine) = on(8, [count("a", 3), count("b", 3)]);
    let (moved, messages) = desired.refit(&without(&machine, "5"));
    assert_eq!(held(&moved), "a 0-2, b 3-4,6");
    assert_eq!(messages, ["b lost core 5, got core 6 and runs on 3-4,6"]);
    let (crowded, _) = moved.refit(&without(&machine, "4-7"));
    assert_eq!(held(&crowded), "a 0-2, b 0-1,3");
    let (spread, _) = crowded.refit(&machine);
    assert_eq!(held(&spread), "a 0-2, b 3-5");
}

#[test]
fn share_follows_the_machine() {
    let (desired, machine) = on(8, [share("a", 50.0), share("b", 50.0)]);
    let (small, _) = desired.refit(&without(&machine, "4-7"));
    assert_eq!(held(&small), "a 0-1, b 2-3");
    let (back, _) = small.refit(&machine);
    assert_eq!(back.rows.iter().map(|row| row.cores.len()).collect::<Vec<_>>(), [4, 4]);
}

#[test]
fn refit_keeps_reserves() {
    let (desired, machine) = on(4, [reserved(count("a", 2)), count("b", 2)]);
    let (small, _) = desired.refit(&without(&machine, "1,3"));
    assert_eq!(held(&small), "a 0, b 2");
    let (alone, messages) = desired.refit(&without(&machine, "1-3"));
    assert_eq!(held(&alone), "a 0, b");
    assert_eq!(messages.len(), 2);
}

#[test]
fn reserve_gets_cores_that_a_share_releases() {
    let (desired, machine) = on(8, [reserved(count("a", 4)), share("b", 50.0)]);
    let (small, _) = desired.refit(&without(&machine, "0-3"));
    assert_eq!(held(&small), "a 6-7, b 4-5");
    let (desired, machine) = on(8, [reserved(count("a", 3)), count("b", 1), list("c", "6-7")]);
    assert_eq!(held(&desired), "a 0-2, b 3, c 6-7");
    let (small, _) = desired.refit(&without(&machine, "1-3,5-7"));
    assert_eq!(held(&small), "a 0, b 4, c");
}
