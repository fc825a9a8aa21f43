//! Weights, and the nice values that follow from them.

use super::*;

fn with_weight(weight: u32, budget: Budget) -> Budget {
    Budget { weight, ..budget }
}

/// "a 0, b 6".
fn nices(desired: &DesiredState) -> String {
    let texts = desired.rows.iter().map(|row| format!("{} {}", row.budget.name, desired.nice(row)));
    texts.collect::<Vec<_>>().join(", ")
}

#[test]
fn equal_weights_have_nice_0() {
    let (desired, _) = on(4, [list("a", "0-1"), list("b", "0-1"), with_weight(9, list("c", "3"))]);
    assert_eq!(nices(&desired), "a 0, b 0, c 0");
    let (desired, _) = on(2, [with_weight(7, list("a", "0-1")), with_weight(7, list("b", "0"))]);
    assert_eq!(nices(&desired), "a 0, b 0");
}

#[test]
fn nice_approximates_weight_ratio() {
    for (weight, nice) in [(1, 0), (2, 3), (4, 6), (8, 9), (16, 12), (64, 19)] {
        let heavy = with_weight(weight, list("a", "0"));
        let (desired, _) = on(2, [heavy, list("b", "0-1")]);
        assert_eq!(nices(&desired), format!("a 0, b {nice}"), "weight {weight}");
    }
}

#[test]
fn indirect_sharers_form_one_group() {
    let rows = [list("a", "0"), with_weight(2, list("b", "0-1")), with_weight(8, list("c", "1-2"))];
    let (desired, _) = on(4, rows);
    // on core 0, a and b differ by a factor of 2, though both are below c
    assert_eq!(nices(&desired), "a 9, b 6, c 0");
}

#[test]
fn base_is_the_heaviest_of_the_group() {
    let rows = [list("a", "0"), with_weight(2, list("b", "0-1")), with_weight(8, list("c", "1-2"))];
    let (desired, _) = on(4, rows);
    let base = |row: &str, group: &[&str]| {
        let is_in_group = |row: &Row| group.contains(&row.budget.name.as_str());
        desired.weight_base(desired.row(row).unwrap(), is_in_group)
    };
    assert_eq!(base("c", &["a", "b"]), Some(6), "b has nice 6 and shares core 1");
    assert_eq!(base("c", &["a"]), Some(9), "a shares cores through b");
    assert_eq!(base("c", &[]), Some(0));
    let (equal, _) = on(4, [list("a", "0-1"), list("b", "0-1"), with_weight(9, list("c", "3"))]);
    assert_eq!(equal.weight_base(equal.row("a").unwrap(), |_| true), None);
}

#[test]
fn rejects_weight_out_of_range() {
    let (desired, machine) = on(2, [list("a", "0-1"), list("b", "0-1")]);
    let weigh = |weight| Change::from(Edit::SetWeight { model: "a".into(), weight });
    let plan = desired.plan(&weigh(4), &machine).unwrap();
    assert_eq!(plan.summary, "a weight 1 -> 4, b less time on shared cores (nice 0 -> 6)");
    assert!(plan.warnings.is_empty() && !plan.rows[0].rebuild, "{plan:?}");
    assert_eq!(nices(&plan.after), "a 0, b 6");
    for weight in [0, 65] {
        let why = reason(desired.change(&weigh(weight), &machine));
        assert_eq!(why, format!("a: a weight of {weight} is out of range: use 1 to 64"));
    }
}

#[test]
fn warns_about_weight_without_sharing() {
    let (desired, machine) = on(2, [list("a", "0"), list("b", "1")]);
    let weigh = Change::from(Edit::SetWeight { model: "a".into(), weight: 4 });
    let plan = desired.plan(&weigh, &machine).unwrap();
    assert_eq!(plan.warnings, ["a shares no core: its weight has no effect yet"]);
}
