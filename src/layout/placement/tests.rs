//! Examples and properties of placement.

use proptest::prelude::*;

use super::super::simulated::{Shape, set, shapes, subset};
use super::*;
use crate::machine::CoreId;

const NONE: CpuSet = CpuSet::EMPTY;

fn picks(shape: Shape, candidates: &str, near: &str, count: usize) -> String {
    pick(&shape.topology(), &set(candidates), &set(near), count).to_string()
}

#[test]
fn picks_the_tightest_l3_that_fits() {
    let shape = Shape { physical: 12, ..Shape::default() };
    // free: three of L3 0, four of L3 1, two of L3 2
    assert_eq!(picks(shape, "1-7,10-11", "", 4), "4-7");
    assert_eq!(picks(shape, "1-7,10-11", "", 3), "1-3");
    assert_eq!(picks(shape, "1-7,10-11", "", 2), "10-11");
    assert_eq!(picks(shape, "1-7,10-11", "", 1), "10");
}

#[test]
fn one_l3_comes_before_two_halves() {
    let shape = Shape { physical: 16, node: 2, ..Shape::default() };
    assert_eq!(picks(shape, "0-1,4-5,8-11", "", 4), "8-11");
}

#[test]
fn stays_within_a_node_that_fits() {
    let shape = Shape { physical: 16, node: 2, ..Shape::default() };
    assert_eq!(picks(shape, "2-15", "", 8), "8-15");
    assert_eq!(picks(shape, "2-15", "", 6), "2-7");
}

#[test]
fn near_cores_come_first() {
    let shape = Shape { physical: 16, node: 2, ..Shape::default() };
    assert_eq!(picks(shape, "0-3,5-6,9-15", "4", 2), "5-6");
    // L3 1 has no more: the other L3 of the node, then the other node
    assert_eq!(picks(shape, "0-1,5,8-15", "4", 3), "0-1,5");
    assert_eq!(picks(shape, "0,5,8-15", "4", 4), "0,5,8-9");
}

#[test]
fn whole_physical_cores_come_first() {
    let shape = Shape { physical: 4, smt: 2, l3: Some(4), ..Shape::default() };
    // another model uses 0: its sibling 4 comes last
    assert_eq!(picks(shape, "1-7", "", 2), "1,5");
    assert_eq!(picks(shape, "1-7", "", 6), "1-3,5-7");
    assert_eq!(picks(shape, "1-7", "", 7), "1-7");
    // a sibling that completes the model's own core comes first
    assert_eq!(picks(shape, "1-7", "0", 1), "4");
}

#[test]
fn performance_cores_come_first() {
    let shape = Shape { physical: 2, smt: 2, efficient: 4, ..Shape::default() };
    assert_eq!(picks(shape, "0-7", "", 4), "0-3");
    assert_eq!(picks(shape, "0-7", "", 5), "0-4");
    // a whole efficiency core comes before half of another model's performance core
    assert_eq!(picks(shape, "1-7", "", 3), "1,3-4");
}

#[test]
fn released_cores_leave_a_compact_rest() {
    let topology = Shape::default().topology();
    assert_eq!(release(&topology, &set("0-2,5"), 1), set("5"));
    assert_eq!(release(&topology, &set("0-3"), 1), set("3"));
    assert_eq!(release(&topology, &set("0-3"), 9), set("0-3"));
    assert_eq!(release(&topology, &set("0-3"), 0), NONE);
    let smt = Shape { physical: 4, smt: 2, ..Shape::default() }.topology();
    // 0 and 4 are one core; 1 is half of one
    assert_eq!(release(&smt, &set("0,1,4"), 1), set("1"));
}

#[test]
fn handed_over_cores_complete_the_receiver() {
    let smt = Shape { physical: 4, smt: 2, ..Shape::default() }.topology();
    assert_eq!(hand_over(&smt, &set("1,4,5"), &set("0"), 1), set("4"));
    let topology = Shape::default().topology();
    assert_eq!(hand_over(&topology, &set("2-5"), &set("6"), 1), set("5"));
    assert_eq!(hand_over(&topology, &set("2-5"), &set("6"), 3), set("3-5"));
}

#[test]
fn unknown_cpus_come_last() {
    let topology = Topology::uniform(2);
    assert_eq!(pick(&topology, &set("0-3"), &NONE, 3), set("0-2"));
    assert_eq!(pick(&Topology::default(), &set("4-6"), &NONE, 2), set("4-5"));
}

fn scenarios() -> impl Strategy<Value = (Topology, CpuSet, CpuSet, usize)> {
    shapes().prop_flat_map(|shape| {
        let topology = shape.topology();
        let all = topology.online();
        (Just(topology), subset(all), subset(all), 0..=all.len() + 1).prop_map(
            |(topology, candidates, near, count)| {
                (topology, candidates, near.difference(&candidates), count)
            },
        )
    })
}

proptest! {
    #[test]
    fn picks_as_many_candidates_as_asked(
        (topology, candidates, near, count) in scenarios()
    ) {
        let picked = pick(&topology, &candidates, &near, count);
        prop_assert!(picked.is_subset(&candidates));
        prop_assert_eq!(picked.len(), count.min(candidates.len()));
        prop_assert_eq!(picked, pick(&topology, &candidates, &near, count));
    }

    #[test]
    fn releases_as_many_as_asked((topology, from, receiver, count) in scenarios()) {
        for released in [release(&topology, &from, count), hand_over(&topology, &from, &receiver, count)] {
            prop_assert!(released.is_subset(&from));
            prop_assert_eq!(released.len(), count.min(from.len()));
        }
    }

    #[test]
    fn no_half_core_while_whole_ones_remain(
        (topology, candidates, near, count) in scenarios()
    ) {
        let own = candidates.union(&near);
        let half = |id: CoreId| !topology.siblings(id).is_subset(&own);
        let picked = pick(&topology, &candidates, &near, count);
        let rest = candidates.difference(&picked);
        if picked.iter().any(half) {
            prop_assert!(rest.iter().all(half), "{} rest {}", picked, rest);
        }
    }

    #[test]
    fn no_efficiency_core_while_fast_ones_remain(
        (topology, candidates, near, count) in scenarios()
    ) {
        let own = candidates.union(&near);
        let slow = |id: CoreId| topology.core(id).unwrap().kind == CoreKind::Efficiency;
        let whole = |id: CoreId| topology.siblings(id).is_subset(&own);
        let picked = pick(&topology, &candidates, &near, count);
        let rest = candidates.difference(&picked);
        if picked.iter().any(slow) {
            prop_assert!(rest.iter().all(|id| slow(id) || !whole(id)));
        }
    }

    #[test]
    fn uses_one_l3_if_one_fits(
        shape in shapes(), taken in any::<prop::sample::Selector>(), count in 1usize..20
    ) {
        // whole cores only: SMT and hybrid rules aside
        let shape = Shape { smt: 1, efficient: 0, l3: shape.l3.or(Some(4)), ..shape };
        let topology = shape.topology();
        let all = topology.online();
        let candidates = {
            let used = taken.select(all.iter());
            all.iter().filter(|id| id.0 % 7 != used.0 % 7).collect::<CpuSet>()
        };
        let groups = Level::L3.groups(&topology, &candidates);
        let fits: Vec<usize> = groups.values().map(CpuSet::len).filter(|len| *len >= count).collect();
        if let Some(tightest) = fits.iter().min() {
            let picked = pick(&topology, &candidates, &NONE, count);
            let homes = Level::L3.keys(&topology, &picked);
            prop_assert_eq!(homes.len(), 1);
            let home = groups[homes.first().unwrap()];
            let nodes = Level::Node.keys(&topology, &candidates);
            // best fit over the machine where it is one node; over the node otherwise
            prop_assert!(nodes.len() > 1 || home.len() == *tightest);
        }
    }
}
