//! Reserved cores are in one row only.

use super::super::super::simulated::Shape;
use super::*;

fn reserve(model: &str) -> Change {
    Edit::SetReserve { model: model.to_owned(), reserve: true }.into()
}

#[test]
fn cannot_reserve_shared_cores() {
    let (desired, machine) = on(4, [list("a", "0-2"), list("b", "1"), list("c", "2")]);
    let why = reason(desired.change(&reserve("a"), &machine));
    assert_eq!(
        why,
        "a: cannot reserve cores 1-2: b and c have them too; move b and c away, or leave reserve off"
    );
    assert!(desired.row("a").unwrap().budget.cores == CoreRequest::List(set("0-2")));
}

#[test]
fn reserved_core_needs_a_transfer() {
    let (desired, machine) = on(4, [reserved(list("a", "0-1")), list("b", "2")]);
    let after = desired.change(&moves(1, "a", "b"), &machine).unwrap();
    assert_eq!(held(&after), "a 0, b 1-2");
    let set_cores = Edit::SetCores { model: "b".into(), cores: CoreRequest::List(set("1-2")) };
    let why = "b: core 1 is reserved by a: move it from a, or turn its reserve off first";
    assert_eq!(reason(desired.change(&set_cores.clone().into(), &machine)), why);
    let shared = shares(CoreSelection::Count(1), "a", "b");
    assert!(reason(desired.change(&shared, &machine)).contains("reserve"));
    // allowed if the same change turns the reserve off
    let lifted = Edit::SetReserve { model: "a".into(), reserve: false };
    let after = desired.change(&Change { edits: vec![set_cores, lifted] }, &machine).unwrap();
    assert_eq!(held(&after), "a 0-1, b 1-2");
}

#[test]
fn reserving_row_cannot_take_cores() {
    let (desired, machine) = on(4, [list("b", "2"), reserved(list("a", "0-1"))]);
    let onto = Edit::SetCores { model: "a".into(), cores: CoreRequest::List(set("1-2")) };
    assert_eq!(
        reason(desired.change(&onto.into(), &machine)),
        "a: cannot reserve core 2: b has it too; move b away, or leave reserve off"
    );
}

#[test]
fn reserving_receiver_gets_no_shared_core() {
    let (desired, machine) = on(4, [reserved(list("a", "0")), list("b", "1-2"), list("c", "2")]);
    let after = desired.change(&moves(1, "b", "a"), &machine).unwrap();
    assert_eq!(held(&after), "a 0-1, b 2, c 2");
    let why = reason(desired.change(&moves(2, "b", "a"), &machine));
    assert_eq!(
        why,
        "a: reserves its cores, but b shares core 2 with c; turn reserve off, or move other cores"
    );
    let why = reason(desired.change(&moves_these("2", "b", "a"), &machine));
    assert_eq!(why, "a: cannot reserve core 2: c has it too; move c away, or leave reserve off");
}

#[test]
fn reserved_count_grows_by_free_cores() {
    let (desired, machine) = on(4, [reserved(count("a", 2)), count("b", 1)]);
    let grow =
        |cores| Edit::SetCores { model: "a".into(), cores: CoreRequest::Count(cores) }.into();
    let after = desired.change(&grow(3), &machine).unwrap();
    assert_eq!(held(&after), "a 0-1,3, b 2");
    let why = reason(desired.change(&grow(4), &machine));
    assert_eq!(why, "a: asks for 4 cores and can have 3: no other core is free to reserve");
}

#[test]
fn warns_about_half_reserved_cores() {
    let machine = Shape { physical: 4, smt: 2, ..Shape::default() }.machine();
    let desired =
        DesiredState::resolve(&layout([list("a", "0-1"), list("b", "2,6")]), &machine).unwrap();
    let plan = desired.plan(&reserve("a"), &machine).unwrap();
    assert_eq!(
        plan.warnings,
        ["a reserves half of a physical core: work on the other half, cores 4-5, slows it down"]
    );
    assert!(desired.plan(&reserve("b"), &machine).unwrap().warnings.is_empty());
}
