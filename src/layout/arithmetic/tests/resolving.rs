//! Placement of layouts on machines.

use super::super::super::simulated::Shape;
use super::*;

fn refused(cores: usize, layout: &Layout) -> String {
    reason(DesiredState::resolve(layout, &Description::uniform(cores)))
}

#[test]
fn places_lists_then_reserves_then_others() {
    let models = [count("a", 2), reserved(count("b", 1)), list("c", "0-1"), share("d", 25.0)];
    let (desired, _) = on(8, models);
    assert_eq!(held(&desired), "a 3-4, b 2, c 0-1, d 5-6");
}

#[test]
fn counts_avoid_listed_cores() {
    let (desired, _) = on(4, [list("a", "0-1"), list("b", "1-2"), count("c", 1)]);
    assert_eq!(held(&desired), "a 0-1, b 1-2, c 3");
}

#[test]
fn counts_share_the_least_owned_cores() {
    let (desired, _) = on(2, [count("a", 2), count("b", 1), count("c", 1), count("d", 2)]);
    assert_eq!(held(&desired), "a 0-1, b 0, c 1, d 0-1");
}

#[test]
fn reserved_cores_are_not_shared() {
    let (desired, _) = on(4, [count("a", 3), reserved(count("b", 2))]);
    assert_eq!(held(&desired), "a 2-3, b 0-1");
}

#[test]
fn excess_count_gets_all_cores() {
    let (desired, _) = on(2, [count("a", 300)]);
    assert_eq!(held(&desired), "a 0-1");
    assert_eq!(desired.rows[0].budget.cores, CoreRequest::Count(300));
}

#[test]
fn reserves_leave_a_core_to_others() {
    let (desired, _) = on(4, [reserved(count("a", 4)), count("b", 1)]);
    assert_eq!(held(&desired), "a 0-2, b 3");
    let (desired, _) = on(3, [reserved(count("a", 8)), reserved(count("b", 8)), count("c", 2)]);
    assert_eq!(held(&desired), "a 0, b 1, c 2");
    let why = refused(1, &layout([reserved(count("a", 1)), count("b", 1)]));
    assert_eq!(
        why,
        "b: no core is left for it: a reserved all; this process has core 0. Turn a reserve off, or \
         ask for fewer cores there"
    );
    let why = refused(1, &layout([reserved(count("a", 1)), reserved(count("b", 1))]));
    assert!(why.starts_with("b: no core is free to reserve; this process has core 0"), "{why}");
}

#[test]
fn shares_round_to_whole_cores() {
    let (desired, _) = on(8, [share("a", 50.0), share("b", 30.0), share("c", 1.0)]);
    assert_eq!(held(&desired), "a 0-3, b 4-5, c 6");
}

#[test]
fn shares_shrink_before_they_overlap() {
    let third = 100.0 / 3.0;
    let (desired, _) = on(8, [share("a", third), share("b", third), share("c", third)]);
    assert_eq!(held(&desired), "a 0-2, b 3-5, c 6-7");
    let (desired, _) = on(2, [share("a", 50.0), share("b", 50.0), share("c", 50.0)]);
    assert_eq!(held(&desired), "a 0, b 1, c 0");
}

#[test]
fn paused_rows_have_no_instances() {
    let paused = Budget { paused: true, ..count("b", 1) };
    let (desired, _) = on(4, [count("a", 0), paused, list("c", "")]);
    assert_eq!(desired.rows.iter().map(|row| row.concurrency).collect::<Vec<_>>(), [0, 0, 0]);
    assert_eq!(held(&desired), "a , b 0, c");
}

#[test]
fn unusable_list_is_refused() {
    let why = refused(4, &layout([list("a", "2-5")]));
    assert_eq!(why, "a: cores 4-5 are not on this machine; use cores 0-3");
    let mut machine = Description::uniform(8);
    machine.topology.cores[5].online = false;
    machine.limits.allowed = set("0-5");
    let resolve = |budget| reason(DesiredState::resolve(&layout([budget]), &machine));
    assert_eq!(resolve(list("a", "5")), "a: core 5 is offline; use cores 0-4");
    let denied = "a: core 7 is not allowed for this process; use cores 0-4";
    assert_eq!(resolve(list("a", "0,7")), denied);
}

#[test]
fn invalid_layouts_are_refused() {
    let twice = layout([count("a", 1), count("a", 1)]);
    assert_eq!(refused(4, &twice), "a: two rows have this name: rename one");
    let overlap = layout([reserved(list("a", "0-2")), list("b", "2-3")]);
    let why = refused(4, &overlap);
    assert_eq!(why, "b: core 2 is reserved by a: move it from a, or turn its reserve off first");
    for (budget, field) in [
        (share("a", 0.0), "share"),
        (share("a", 100.5), "share"),
        (share("a", f64::NAN), "share"),
        (Budget { threads: exactly(0), ..count("a", 1) }, "threads"),
        (Budget { concurrency: exactly(1025), ..count("a", 1) }, "concurrency"),
        (count("", 1), "name"),
        (count(&"x".repeat(201), 1), "name"),
        (count("a\nb", 1), "control"),
    ] {
        let why = refused(4, &layout([budget]));
        assert!(why.contains(field), "{why}");
    }
}

#[test]
fn counts_are_placed_by_topology() {
    let shape = Shape { physical: 8, smt: 2, l3: Some(4), ..Shape::default() };
    let layout = layout([count("a", 4), count("b", 8), count("c", 4)]);
    let desired = DesiredState::resolve(&layout, &shape.machine()).unwrap();
    assert_eq!(held(&desired), "a 0-1,8-9, b 4-7,12-15, c 2-3,10-11");
}

#[test]
fn places_on_any_number_of_cores() {
    let layout =
        layout([share("a", 50.0), count("b", 1), latency(share("c", 25.0)), count("d", 2)]);
    for cores in 1..=256 {
        let desired = DesiredState::resolve(&layout, &Description::uniform(cores)).unwrap();
        assert!(desired.rows.iter().all(|row| row.concurrency > 0), "{cores}");
        let shared = desired.ledger(&Description::uniform(cores)).shared;
        assert_eq!(shared.is_empty(), cores >= 5, "{cores}");
        if cores >= 16 {
            assert_eq!(desired.rows[0].cores.len(), cores.div_ceil(2), "{cores}");
        }
    }
}
