//! Edits other than transfers, and changes as transactions.

use std::time::Duration;

use super::super::super::budget::{EngineChoice, LoadSpec, QueuePolicy, Slo};
use super::super::super::diff::plan_diff;
use super::super::super::edits::edits_between;
use super::super::super::units::Bytes;
use super::*;

fn set_cores(model: &str, cores: CoreRequest) -> Change {
    Edit::SetCores { model: model.into(), cores }.into()
}

#[test]
fn count_changes_stay_compact() {
    let (desired, machine) = on(8, [count("a", 2), count("b", 2)]);
    let after = desired.change(&set_cores("a", CoreRequest::Count(4)), &machine).unwrap();
    assert_eq!(held(&after), "a 0-1,4-5, b 2-3");
    let after = after.change(&set_cores("a", CoreRequest::Count(1)), &machine).unwrap();
    assert_eq!(held(&after), "a 0, b 2-3");
}

#[test]
fn count_shares_when_no_core_is_free() {
    let (desired, machine) = on(4, [count("a", 1), count("b", 3)]);
    let plan = desired.plan(&set_cores("a", CoreRequest::Count(2)), &machine).unwrap();
    assert_eq!(held(&plan.after), "a 0-1, b 1-3");
    assert!(plan.warnings.iter().any(|text| text == "a shares core 1 with b"));
    let after = plan.after.change(&set_cores("b", CoreRequest::Count(2)), &machine).unwrap();
    assert_eq!(held(&after), "a 0-1, b 2-3");
    let why = reason(after.change(&set_cores("a", CoreRequest::Count(5)), &machine));
    assert_eq!(why, "a: asks for 5 cores, but this process has 4 (0-3)");
}

#[test]
fn list_or_share_replaces_a_count() {
    let (desired, machine) = on(8, [count("a", 2), count("b", 2)]);
    let after = desired.change(&set_cores("a", CoreRequest::List(set("5,7"))), &machine).unwrap();
    assert_eq!(held(&after), "a 5,7, b 2-3");
    let after = after.change(&set_cores("a", CoreRequest::Share(50.0)), &machine).unwrap();
    assert_eq!(
        held(&after),
        "a 0,4-5,7, b 2-3".replace("0,4-5,7", &after.rows[0].cores.to_string())
    );
    assert_eq!(after.rows[0].cores.len(), 4);
    assert!(set("5,7").is_subset(&after.rows[0].cores));
}

#[test]
fn resuming_restores_instances() {
    let (desired, machine) = on(4, [count("a", 2)]);
    let pause = |paused| Edit::Pause { model: "a".into(), paused }.into();
    let paused = desired.change(&pause(true), &machine).unwrap();
    assert_eq!(paused.rows[0].concurrency, 0);
    assert_eq!(held(&paused), "a 0-1");
    assert_eq!(paused.change(&pause(false), &machine).unwrap().rows[0].concurrency, 2);
}

#[test]
fn added_models_get_free_cores_first() {
    let (desired, machine) = on(4, [count("a", 3)]);
    let add = |budget| Edit::Add { budget: Box::new(budget) }.into();
    let after = desired.change(&add(count("b", 2)), &machine).unwrap();
    assert_eq!(held(&after), "a 0-2, b 0,3");
    let why = reason(after.change(&add(count("b", 1)), &machine));
    assert_eq!(why, "b: another row has this name: choose a free one");
    let why = reason(desired.change(&add(reserved(list("c", "2-3"))), &machine));
    assert_eq!(why, "c: cannot reserve core 2: a has it too; move a away, or leave reserve off");
    let remove: Change = Edit::Remove { model: "a".into() }.into();
    assert_eq!(held(&after.change(&remove, &machine).unwrap()), "b 0,3");
}

fn rename(model: &str, to: &str) -> Edit {
    Edit::Rename { model: model.into(), to: to.into() }
}

#[test]
fn rename_keeps_cores() {
    let (desired, machine) = on(4, [count("a", 2), count("b", 1)]);
    let plan = desired.plan(&rename("a", "c").into(), &machine).unwrap();
    assert_eq!(plan.summary, "a renamed to c");
    assert_eq!(plan.warnings, ["programs that send requests to a must send them to c"]);
    assert_eq!(held(&plan.after), "c 0-1, b 2");
    let [row] = plan.rows.as_slice() else { panic!("{:?}", plan.rows) };
    assert_eq!((row.model.as_str(), row.renamed_from.as_deref()), ("c", Some("a")));
    assert!(!row.rebuild);
    let lines = plan_diff(&desired.layout(), &plan);
    assert_eq!(lines.iter().map(ToString::to_string).collect::<Vec<_>>(), ["c: name a -> c"]);
}

#[test]
fn undo_of_rename_restores_the_state() {
    let (desired, machine) = on(4, [count("a", 2), count("b", 1)]);
    let after = desired.change(&rename("a", "c").into(), &machine).unwrap();
    let back = after.undo(&desired, &after, &machine).unwrap();
    assert_eq!(back.layout(), desired.layout());
    assert_eq!(back.rows[0].id, desired.rows[0].id);
    assert_eq!(desired.plan_to(back, &machine).rows, []);
}

#[test]
fn two_models_can_swap_names() {
    let (desired, machine) = on(4, [count("a", 2), count("b", 1)]);
    let edits = vec![rename("a", "x"), rename("b", "a"), rename("x", "b")];
    let plan = desired.plan(&Change { edits }, &machine).unwrap();
    assert_eq!(held(&plan.after), "b 0-1, a 2");
    assert_eq!(plan.summary, "a renamed to b, b renamed to a");
    let back = plan.after.undo(&desired, &plan.after, &machine).unwrap();
    assert_eq!(held(&back), held(&desired));
    let ids = |state: &DesiredState| state.rows.iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(&back), ids(&desired));
}

#[test]
fn undo_removes_a_model_that_took_the_old_name() {
    let (desired, machine) = on(4, [count("a", 2), count("b", 1)]);
    let edits = vec![rename("a", "x"), Edit::Add { budget: Box::new(count("a", 1)) }];
    let after = desired.change(&Change { edits }, &machine).unwrap();
    assert_eq!(held(&after), "x 0-1, b 2, a 3");
    assert_eq!(held(&after.undo(&desired, &after, &machine).unwrap()), "a 0-1, b 2");
}

#[test]
fn rename_needs_a_free_name() {
    let (desired, machine) = on(4, [count("a", 2), count("b", 1)]);
    for (to, why) in [
        ("b", "a: cannot be renamed to b: another row has this name; choose a free one"),
        (" ", "a: the name is empty; use 1 to 200 characters, like \"detector\""),
        ("a", "nothing would change: the layout is already like that"),
    ] {
        assert_eq!(reason(desired.change(&rename("a", to).into(), &machine)), why);
    }
    let why = reason(desired.change(&rename("z", "c").into(), &machine));
    assert!(why.starts_with("z: there is no such row"), "{why}");
}

#[test]
fn replaced_row_keeps_its_cores() {
    let (desired, machine) = on(4, [count("a", 2), count("b", 1)]);
    let row = |cores, threads| {
        let budget = Budget { engine: EngineChoice::Rten, threads, ..count("a", cores) };
        Change::from(Edit::SetRow { budget: Box::new(budget), base: None })
    };
    let after = desired.change(&row(2, Auto::Exactly(2)), &machine).unwrap();
    assert_eq!(held(&after), held(&desired));
    let a = after.row("a").unwrap();
    assert_eq!((a.budget.engine, a.threads, a.concurrency), (EngineChoice::Rten, 2, 1));
    assert_eq!(a.generation, 1);
    let after = desired.change(&row(3, Auto::Auto), &machine).unwrap();
    assert_eq!(held(&after), "a 0-1,3, b 2");
    let why = reason(desired.change(&row(9, Auto::Auto), &machine));
    assert!(why.starts_with("a: asks for 9 cores"), "{why}");
    let other = Edit::SetRow { budget: Box::new(count("c", 1)), base: None };
    let why = reason(desired.change(&other.into(), &machine));
    assert!(why.contains("there is no such row"), "{why}");
}

#[test]
fn outdated_row_edit_is_refused() {
    let (desired, machine) = on(4, [count("a", 2), count("b", 1)]);
    let was = desired.row("a").unwrap().budget.clone();
    let new = Budget { engine: EngineChoice::Rten, ..was.clone() };
    let change = Change { edits: edits_between(&was, &new) };
    assert_eq!(desired.change(&change, &machine).unwrap().row("a").unwrap().budget, new);
    let moved = desired.change(&moves(1, "a", "b"), &machine).unwrap();
    let why = reason(moved.change(&change, &machine));
    assert!(why.starts_with("a: this row was changed"), "{why}");
    // a change of another row does not matter, an earlier edit of the same change does
    let pause = Edit::Pause { model: "b".into(), paused: true };
    let other = desired.change(&pause.into(), &machine).unwrap();
    assert!(other.change(&change, &machine).is_ok());
    let both = Change { edits: [moves(1, "a", "b").edits, change.edits].concat() };
    assert!(reason(desired.change(&both, &machine)).starts_with("a: this row was changed"));
}

#[test]
fn loaded_layout_keeps_generations() {
    let (desired, machine) = on(8, [count("a", 2), count("b", 2)]);
    let desired = desired.change(&moves(1, "b", "a"), &machine).unwrap();
    let new = layout([count("b", 1), count("c", 1)]);
    let load: Change = Edit::Load { layout: Box::new(new.clone()) }.into();
    let after = desired.change(&load, &machine).unwrap();
    let fresh = DesiredState::resolve(&new, &machine).unwrap();
    assert_eq!(held(&after), held(&fresh));
    assert_eq!(after.row("b").unwrap().generation, 2);
    assert_eq!(after.row("c").unwrap().generation, 0);
    let bad = layout([count("b", 1), count("b", 1)]);
    let bad: Change = Edit::Load { layout: Box::new(bad) }.into();
    assert_eq!(reason(desired.change(&bad, &machine)), "b: two rows have this name: rename one");
}

#[test]
fn change_applies_all_edits_or_none() {
    let (desired, machine) = on(4, [count("a", 2), count("b", 1)]);
    let before = desired.clone();
    let good = moves(1, "a", "b").edits;
    let bad = moves(3, "a", "b").edits;
    let both = Change { edits: [good, bad].concat() };
    assert_eq!(reason(desired.change(&both, &machine)), "a: cannot give 3 cores: it has 1");
    assert_eq!(desired, before);
    assert!(reason(desired.change(&Change::default(), &machine)).contains("empty"));
}

#[test]
fn change_without_effect_is_refused() {
    let (desired, machine) = on(4, [list("a", "0-1"), list("b", "2")]);
    let back = Change {
        edits: [moves_these("1", "a", "b").edits, moves_these("1", "b", "a").edits].concat(),
    };
    for change in [set_cores("a", CoreRequest::List(set("0-1"))), back] {
        let why = reason(desired.change(&change, &machine));
        assert_eq!(why, "nothing would change: the layout is already like that");
    }
}

#[test]
fn out_of_range_refusals_name_the_row() {
    let (desired, machine) = on(4, [count("a", 2)]);
    let model = || "a".to_owned();
    let queue = |limit, timeout| Edit::SetQueue {
        model: model(),
        queue: QueuePolicy { limit, timeout, ..QueuePolicy::default() },
    };
    let levels = |levels| Edit::SetQueue {
        model: model(),
        queue: QueuePolicy { levels, ..QueuePolicy::default() },
    };
    let slo =
        |percentile, bound| Edit::SetSlo { model: model(), slo: Some(Slo { percentile, bound }) };
    let load = |load| Edit::SetLoad { model: model(), load: Some(load) };
    let second = Duration::from_secs(1);
    for edit in [
        Edit::SetThreads { model: model(), threads: exactly(0) },
        Edit::SetThreads { model: model(), threads: exactly(1025) },
        Edit::SetConcurrency { model: model(), concurrency: exactly(0) },
        Edit::SetCores { model: model(), cores: CoreRequest::Share(101.0) },
        queue(0, None),
        queue(1_000_001, None),
        levels(0),
        levels(101),
        queue(1, Some(Duration::ZERO)),
        slo(100.0, second),
        slo(0.0, second),
        slo(99.0, Duration::ZERO),
        Edit::SetMemory { model: model(), memory: Some(Bytes(0)) },
        load(LoadSpec::Closed { clients: 0, think: second }),
        load(LoadSpec::Poisson { rate: 0.0 }),
        load(LoadSpec::Constant { rate: f64::INFINITY }),
    ] {
        let refusal = desired.change(&edit.clone().into(), &machine).unwrap_err();
        assert_eq!(refusal.model.as_deref(), Some("a"), "{edit:?}");
    }
    for edit in [
        Edit::SetThreads { model: model(), threads: exactly(1024) },
        queue(1_000_000, Some(second)),
        slo(99.9, second),
        load(LoadSpec::Poisson { rate: 1e6 }),
    ] {
        assert!(desired.change(&edit.clone().into(), &machine).is_ok(), "{edit:?}");
    }
}
