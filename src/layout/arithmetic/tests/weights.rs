//! Weights as nice values, and what is told of them.

use super::*;

fn weighing(weight: u32, budget: Budget) -> Budget {
    Budget { weight, ..budget }
}

/// "a 0, b 6".
fn nices(desired: &DesiredState) -> String {
    let told = desired.rows.iter().map(|row| format!("{} {}", row.budget.name, desired.nice(row)));
    told.collect::<Vec<_>>().join(", ")
}

#[test]
fn equal_weights_and_lone_models_are_at_nice_0() {
    let (desired, _) = on(4, [list("a", "0-1"), list("b", "0-1"), weighing(9, list("c", "3"))]);
    assert_eq!(nices(&desired), "a 0, b 0, c 0");
    let (desired, _) = on(2, [weighing(7, list("a", "0-1")), weighing(7, list("b", "0"))]);
    assert_eq!(nices(&desired), "a 0, b 0");
}

#[test]
fn a_ratio_of_weights_becomes_the_nearest_ratio_of_shares() {
    for (weight, nice) in [(1, 0), (2, 3), (4, 6), (8, 9), (16, 12), (64, 19)] {
        let heavy = weighing(weight, list("a", "0"));
        let (desired, _) = on(2, [heavy, list("b", "0-1")]);
        assert_eq!(nices(&desired), format!("a 0, b {nice}"), "weight {weight}");
    }
}

#[test]
fn models_that_meet_over_others_are_on_one_scale() {
    let rows = [list("a", "0"), weighing(2, list("b", "0-1")), weighing(8, list("c", "1-2"))];
    let (desired, _) = on(4, rows);
    // a and b differ by a factor of 2 on core 0, though both are below c
    assert_eq!(nices(&desired), "a 9, b 6, c 0");
}

#[test]
fn a_weight_is_set_within_its_range_and_told() {
    let (desired, machine) = on(2, [list("a", "0-1"), list("b", "0-1")]);
    let weigh = |weight| Change::from(Edit::SetWeight { model: "a".into(), weight });
    let plan = desired.plan(&weigh(4), &machine).unwrap();
    assert_eq!(plan.summary, "a weight 1 -> 4, b stands lower on shared cores (nice 0 -> 6)");
    assert!(plan.warnings.is_empty() && !plan.rows[0].rebuild, "{plan:?}");
    assert_eq!(nices(&plan.after), "a 0, b 6");
    for weight in [0, 65] {
        let told = reason(desired.change(&weigh(weight), &machine));
        assert_eq!(told, format!("a: a weight of {weight} is out of range: 1 to 64"));
    }
}

#[test]
fn a_weight_without_sharing_is_warned_of() {
    let (desired, machine) = on(2, [list("a", "0"), list("b", "1")]);
    let weigh = Change::from(Edit::SetWeight { model: "a".into(), weight: 4 });
    let plan = desired.plan(&weigh, &machine).unwrap();
    assert_eq!(plan.warnings, ["a shares no core: its weight has no effect yet"]);
}
