//! Transfers of cores and instances.

use super::*;

fn request(desired: &DesiredState, name: &str) -> CoreRequest {
    desired.row(name).unwrap().budget.cores
}

#[test]
fn transfer_by_number_keeps_counts() {
    let (desired, machine) = on(8, [count("a", 4), count("b", 2)]);
    let after = desired.change(&moves(1, "b", "a"), &machine).unwrap();
    assert_eq!(held(&after), "a 0-3,5, b 4");
    assert_eq!(request(&after, "a"), CoreRequest::Count(5));
    assert_eq!(request(&after, "b"), CoreRequest::Count(1));
    assert_eq!(after.row("a").unwrap().concurrency, 5);
    assert_eq!(after.row("b").unwrap().concurrency, 1);
}

#[test]
fn untouched_rows_keep_their_generation() {
    let (desired, machine) = on(8, [count("a", 2), count("b", 2), count("c", 2)]);
    let after = desired.change(&moves(1, "b", "a"), &machine).unwrap();
    assert_eq!(after.rows.iter().map(|row| row.generation).collect::<Vec<_>>(), [1, 1, 0]);
}

#[test]
fn transfer_by_name_makes_lists() {
    let (desired, machine) = on(8, [count("a", 2), share("b", 25.0)]);
    let after = desired.change(&moves_these("2", "b", "a"), &machine).unwrap();
    assert_eq!(request(&after, "a"), CoreRequest::List(set("0-2")));
    assert_eq!(request(&after, "b"), CoreRequest::List(set("3")));
}

#[test]
fn share_becomes_a_count() {
    let (desired, machine) = on(8, [list("a", "0-3"), share("b", 25.0)]);
    let after = desired.change(&moves(1, "a", "b"), &machine).unwrap();
    assert_eq!(request(&after, "a"), CoreRequest::List(set("0-2")));
    assert_eq!(request(&after, "b"), CoreRequest::Count(3));
    assert_eq!(held(&after), "a 0-2, b 3-5");
}

#[test]
fn sharers_keep_a_moved_core() {
    let (desired, machine) = on(4, [list("a", "0-1"), list("b", "1"), list("c", "3")]);
    let after = desired.change(&moves_these("1", "a", "c"), &machine).unwrap();
    assert_eq!(held(&after), "a 0, b 1, c 1,3");
}

#[test]
fn donor_keeps_a_shared_core() {
    let (desired, machine) = on(4, [count("a", 2), count("b", 1)]);
    let change = shares(CoreSelection::Count(1), "a", "b");
    let after = desired.change(&change, &machine).unwrap();
    assert_eq!(held(&after), "a 0-1, b 0,2");
    assert_eq!(request(&after, "a"), CoreRequest::List(set("0-1")));
    // they still share it after saving and loading
    let loaded = DesiredState::resolve(&after.layout(), &machine).unwrap();
    assert_eq!(held(&loaded), held(&after));
    let again = shares(CoreSelection::Count(2), "a", "b");
    let why = "b: cannot share 2 cores of a: a has 1 that b does not have";
    assert_eq!(reason(after.change(&again, &machine)), why);
    let free = shares(CoreSelection::Count(1), "free", "b");
    assert!(reason(after.change(&free, &machine)).contains("free cores cannot be shared"));
}

#[test]
fn exclusive_cores_move_first() {
    let (desired, machine) = on(8, [list("a", "0-2"), list("b", "2"), list("c", "6")]);
    let after = desired.change(&moves(2, "a", "c"), &machine).unwrap();
    assert_eq!(held(&after), "a 2, b 2, c 0-1,6");
}

#[test]
fn donor_leaves_common_cores() {
    let (desired, machine) = on(2, [count("a", 2), count("b", 2)]);
    let after = desired.change(&moves(1, "b", "a"), &machine).unwrap();
    assert_eq!(held(&after), "a 0-1, b 0");
}

#[test]
fn free_cores_are_picked_nearby() {
    let (desired, machine) = on(4, [list("a", "2"), list("b", "0")]);
    let after = desired.change(&moves(1, "free", "a"), &machine).unwrap();
    assert_eq!(held(&after), "a 1-2, b 0");
    let why = reason(after.change(&moves(2, "free", "a"), &machine));
    assert_eq!(why, "a: asks for 2 free cores, but only 1 is free (3)");
    let after = after.change(&moves_these("3", "free", "b"), &machine).unwrap();
    assert_eq!(held(&after), "a 1-2, b 0,3");
    let why = reason(after.change(&moves(1, "free", "a"), &machine));
    assert_eq!(why, "a: no core is free: move one from another row");
    let why = reason(after.change(&moves_these("3", "free", "a"), &machine));
    assert_eq!(why, "a: core 3 is not free: b has it");
}

#[test]
fn model_without_cores_is_paused() {
    let wide = Budget { threads: Auto::Auto, ..latency(count("a", 2)) };
    let (desired, machine) = on(4, [wide, count("b", 1)]);
    let empty = desired.change(&moves(2, "a", "free"), &machine).unwrap();
    let row = empty.row("a").unwrap();
    assert!(row.cores.is_empty());
    assert_eq!((row.concurrency, row.threads), (0, 2), "the threads stay");
    assert!(!row.budget.paused);
    let back = empty.change(&moves(2, "free", "a"), &machine).unwrap();
    assert_eq!(back.row("a").unwrap().concurrency, 1);
    let why = reason(empty.change(&moves(1, "a", "b"), &machine));
    assert_eq!(why, "a: cannot give 1 core: it has none");
}

#[test]
fn impossible_transfers_are_refused() {
    let (desired, machine) = on(4, [list("a", "0-1"), list("b", "2")]);
    for (change, why) in [
        (moves(3, "a", "b"), "a: cannot give 3 cores: it has 2"),
        (moves(0, "a", "b"), "a: the transfer moves no core: choose at least one"),
        (moves_these("", "a", "b"), "a: the transfer moves no core: choose at least one"),
        (moves_these("1-2", "a", "b"), "a: does not have core 2: it has cores 0-1"),
        (moves_these("9", "a", "b"), "a: core 9 is not on this machine; use cores 0-3"),
        (moves(1, "a", "a"), "a: donor and receiver are the same row; choose another receiver"),
        (
            moves(1, "free", "free"),
            "donor and receiver are both the free cores; choose a row for one of them",
        ),
        (moves(1, "a", "z"), "z: there is no such row; the rows are a and b"),
        (moves(1, "z", "free"), "z: there is no such row; the rows are a and b"),
    ] {
        assert_eq!(reason(desired.change(&change, &machine)), why);
    }
}

fn instances(count: usize, from: &str, to: &str) -> Change {
    Edit::TransferConcurrency { count, from: from.to_owned(), to: to.to_owned() }.into()
}

#[test]
fn moved_instances_become_numbers() {
    let (desired, machine) = on(4, [count("a", 3), count("b", 1)]);
    let after = desired.change(&instances(2, "a", "b"), &machine).unwrap();
    assert_eq!((after.rows[0].concurrency, after.rows[1].concurrency), (1, 3));
    assert_eq!(after.rows[0].budget.concurrency, exactly(1));
    assert_eq!(after.rows[1].budget.concurrency, exactly(3));
    assert_eq!(held(&after), held(&desired));
}

#[test]
fn last_instance_cannot_move() {
    let (desired, machine) = on(4, [count("a", 3), count("b", 1), count("c", 0)]);
    for (change, why) in [
        (
            instances(3, "a", "b"),
            "a: has 3 instances and must keep one: pause the model to stop it",
        ),
        (instances(0, "a", "b"), "the transfer moves no instance: choose at least one"),
        (instances(1, "a", "a"), "a: donor and receiver are the same row; choose another receiver"),
        (instances(1, "a", "c"), "c: has no cores and so no instances: give it a core first"),
    ] {
        assert_eq!(reason(desired.change(&change, &machine)), why);
    }
    let full = Budget { concurrency: exactly(1024), ..count("b", 1) };
    let (desired, machine) = on(4, [count("a", 3), full]);
    let why = reason(desired.change(&instances(1, "a", "b"), &machine));
    assert!(why.starts_with("b: concurrency = 1025 is out of range"), "{why}");
}
