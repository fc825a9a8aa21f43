//! The way back, and machines that change.

use super::*;

fn without(machine: &Description, gone: &str) -> Description {
    let mut machine = machine.clone();
    machine.limits.allowed = machine.limits.allowed.difference(&set(gone));
    machine
}

#[test]
fn a_restore_puts_back_what_a_change_took() {
    let (desired, machine) = on(8, [count("a", 3), count("b", 2), count("c", 1)]);
    let after = desired.change(&moves(2, "b", "a"), &machine).unwrap();
    let before = desired.rows_before(&after);
    // c moved on meanwhile: it stays where it is
    let later = after.change(&moves(1, "free", "c"), &machine).unwrap();
    let back = later.restore(&before, &machine).unwrap();
    assert_eq!(held(&back), "a 0-2, b 3-4, c 5-6");
    assert_eq!(back.row("a").unwrap().budget, desired.row("a").unwrap().budget);
    assert_eq!(back.rows.iter().map(|row| row.generation).collect::<Vec<_>>(), [2, 2, 1]);
}

#[test]
fn a_restore_brings_removed_rows_back_and_takes_added_ones_out() {
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
fn an_undo_has_the_order_and_the_description_back() {
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
fn a_restore_makes_do_with_the_cores_that_are_there_and_is_refused_where_they_are_reserved() {
    let (desired, machine) = on(4, [list("a", "0-1"), list("b", "2")]);
    let after = desired.change(&moves_these("1", "a", "free"), &machine).unwrap();
    let before = desired.rows_before(&after);
    let back = after.restore(&before, &without(&machine, "1")).unwrap();
    assert_eq!(held(&back), "a 0, b 2");
    assert_eq!(back.layout(), desired.layout(), "what was asked for is back");
    assert_eq!(held(&back.refit(&machine).0), held(&desired));
    // and what was asked for on less than there is now has all of it
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
    assert_eq!(why, "a: core 1 is reserved by b: take it from b, or lift its reserve first");
}

#[test]
fn a_list_loses_what_is_away_and_has_it_back() {
    let (desired, machine) = on(4, [list("a", "0-2"), list("b", "3")]);
    let (small, told) = desired.refit(&without(&machine, "2-3"));
    assert_eq!(held(&small), "a 0-1, b");
    assert_eq!(told, ["a lost core 2 and runs on 0-1", "b lost core 3 and has none: it is paused"]);
    assert_eq!(small.row("b").unwrap().concurrency, 0);
    let (back, told) = small.refit(&machine);
    assert_eq!(held(&back), held(&desired));
    assert_eq!(told, ["a got core 2 and runs on 0-2", "b got core 3 and runs on 3"]);
    assert_eq!(back.rows.iter().map(|row| row.generation).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn a_count_moves_to_free_cores_or_shares_and_spreads_again() {
    let (desired, machine) = on(8, [count("a", 3), count("b", 3)]);
    let (moved, told) = desired.refit(&without(&machine, "5"));
    assert_eq!(held(&moved), "a 0-2, b 3-4,6");
    assert_eq!(told, ["b lost core 5, got core 6 and runs on 3-4,6"]);
    let (crowded, _) = moved.refit(&without(&machine, "4-7"));
    assert_eq!(held(&crowded), "a 0-2, b 0-1,3");
    let (spread, _) = crowded.refit(&machine);
    assert_eq!(held(&spread), "a 0-2, b 3-5");
}

#[test]
fn a_share_follows_the_machine() {
    let (desired, machine) = on(8, [share("a", 50.0), share("b", 50.0)]);
    let (small, _) = desired.refit(&without(&machine, "4-7"));
    assert_eq!(held(&small), "a 0-1, b 2-3");
    let (back, _) = small.refit(&machine);
    assert_eq!(back.rows.iter().map(|row| row.cores.len()).collect::<Vec<_>>(), [4, 4]);
}

#[test]
fn reserved_rows_stay_alone_through_a_refit() {
    let (desired, machine) = on(4, [reserved(count("a", 2)), count("b", 2)]);
    let (small, _) = desired.refit(&without(&machine, "1,3"));
    assert_eq!(held(&small), "a 0, b 2");
    let (alone, told) = desired.refit(&without(&machine, "1-3"));
    assert_eq!(held(&alone), "a 0, b");
    assert_eq!(told.len(), 2);
}

#[test]
fn a_reserve_takes_what_a_share_gives_back_and_leaves_one_to_who_has_none() {
    let (desired, machine) = on(8, [reserved(count("a", 4)), share("b", 50.0)]);
    let (small, _) = desired.refit(&without(&machine, "0-3"));
    assert_eq!(held(&small), "a 6-7, b 4-5");
    let (desired, machine) = on(8, [reserved(count("a", 3)), count("b", 1), list("c", "6-7")]);
    assert_eq!(held(&desired), "a 0-2, b 3, c 6-7");
    let (small, _) = desired.refit(&without(&machine, "1-3,5-7"));
    assert_eq!(held(&small), "a 0, b 4, c");
}
