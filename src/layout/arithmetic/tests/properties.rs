//! Properties of any layout, machine and change.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::super::desired::Row;
use super::super::super::simulated::{machines, subset};
use super::super::ledger::usable;
use super::super::pressure::pressure;
use super::*;
use crate::machine::{CoreId, CpuSet};

fn autos() -> impl Strategy<Value = Auto> {
    prop_oneof![2 => Just(Auto::Auto), 1 => (1usize..5).prop_map(Auto::Exactly)]
}

fn requests(allowed: CpuSet) -> impl Strategy<Value = CoreRequest> {
    prop_oneof![
        3 => (0usize..7).prop_map(CoreRequest::Count),
        2 => (1u32..=100).prop_map(|percent| CoreRequest::Share(f64::from(percent))),
        2 => subset(allowed).prop_map(|cores| {
            CoreRequest::List(cores.iter().take(6).collect())
        }),
    ]
}

fn budgets(name: String, allowed: CpuSet) -> impl Strategy<Value = Budget> {
    let objective = prop_oneof![Just(Objective::Latency), Just(Objective::Throughput)];
    (requests(allowed), prop::bool::weighted(0.2), autos(), autos(), objective, any::<bool>())
        .prop_map(move |(cores, reserve, threads, concurrency, objective, spin)| Budget {
            reserve,
            threads,
            concurrency,
            objective,
            spinning: spin.then_some(true),
            ..model(&name, cores)
        })
}

fn layouts(allowed: CpuSet) -> impl Strategy<Value = Layout> {
    (1usize..6).prop_flat_map(move |models| {
        let rows: Vec<_> = (0..models).map(|at| budgets(format!("m{at}"), allowed)).collect();
        rows.prop_map(|models| Layout { description: String::new(), models })
    })
}

fn names() -> impl Strategy<Value = String> {
    (0usize..6).prop_map(|at| format!("m{at}"))
}

fn core_owners() -> impl Strategy<Value = CoreOwner> {
    prop_oneof![1 => Just(CoreOwner::Free), 4 => names().prop_map(CoreOwner::Model)]
}

fn selections(allowed: CpuSet) -> impl Strategy<Value = CoreSelection> {
    prop_oneof![
        (0usize..4).prop_map(CoreSelection::Count),
        subset(allowed).prop_map(|cores| CoreSelection::These(cores.iter().take(3).collect())),
    ]
}

fn edits(allowed: CpuSet) -> impl Strategy<Value = Edit> {
    prop_oneof![
        6 => (selections(allowed), core_owners(), core_owners(), prop::bool::weighted(0.3)).prop_map(
            |(cores, from, to, share)| Edit::TransferCores { cores, from, to, share }
        ),
        1 => (0usize..3, names(), names())
            .prop_map(|(count, from, to)| Edit::TransferConcurrency { count, from, to }),
        3 => (names(), requests(allowed))
            .prop_map(|(model, cores)| Edit::SetCores { model, cores }),
        1 => (names(), any::<bool>())
            .prop_map(|(model, reserve)| Edit::SetReserve { model, reserve }),
        1 => (names(), autos())
            .prop_map(|(model, concurrency)| Edit::SetConcurrency { model, concurrency }),
        1 => (names(), autos()).prop_map(|(model, threads)| Edit::SetThreads { model, threads }),
        1 => (names(), any::<bool>()).prop_map(|(model, paused)| Edit::Pause { model, paused }),
        1 => names().prop_flat_map(move |name| budgets(name, allowed))
            .prop_map(|budget| Edit::Add { budget: Box::new(budget) }),
        1 => names().prop_flat_map(move |name| budgets(name, allowed))
            .prop_map(|budget| Edit::SetRow { budget: Box::new(budget), base: None }),
        1 => names().prop_map(|model| Edit::Remove { model }),
        2 => (names(), names()).prop_map(|(model, to)| Edit::Rename { model, to }),
        1 => layouts(allowed).prop_map(|layout| Edit::Load { layout: Box::new(layout) }),
    ]
}

fn changes(allowed: CpuSet) -> impl Strategy<Value = Change> {
    prop::collection::vec(edits(allowed), 0..3).prop_map(|edits| Change { edits })
}

/// Changes an edit so that it is mostly possible: it names models that exist, two different ones for a
/// transfer, and cores that the donor has. Three named cores stay as they are, mostly refused.
fn aimed(mut edit: Edit, desired: &DesiredState, allowed: &CpuSet) -> Edit {
    let rows = desired.rows.len().max(1);
    let real = |name: &mut String, step: usize| {
        let number: usize = name.trim_start_matches('m').parse().unwrap();
        if let Some(row) = desired.rows.get((number + step) % rows) {
            name.clone_from(&row.budget.name);
        }
    };
    match &mut edit {
        Edit::TransferCores { cores, from, to, share } => {
            let taken = desired.rows.iter().fold(CpuSet::EMPTY, |all, row| all.union(&row.cores));
            let mut given = allowed.difference(&taken);
            if let CoreOwner::Model(name) = from {
                real(name, 0);
                given = desired.row(name).map_or(CpuSet::EMPTY, |row| row.cores);
            }
            if let CoreOwner::Model(name) = to {
                real(name, 0);
            }
            if from == to {
                match to {
                    CoreOwner::Model(name) if rows > 1 => real(name, 1),
                    _ => *to = CoreOwner::Free,
                }
            }
            *share &= *from != CoreOwner::Free && *to != CoreOwner::Free;
            if let CoreSelection::These(these) = cores
                && these.len() < 3
            {
                *these = given.iter().take(these.len().max(1)).collect();
            }
        }
        Edit::TransferConcurrency { from, to, .. } => {
            real(from, 0);
            real(to, 0);
            if from == to {
                real(to, 1);
            }
        }
        Edit::SetCores { model, .. }
        | Edit::SetReserve { model, .. }
        | Edit::SetConcurrency { model, .. }
        | Edit::SetThreads { model, .. }
        | Edit::Pause { model, .. }
        | Edit::Rename { model, .. }
        | Edit::Remove { model } => real(model, 0),
        Edit::SetRow { budget, .. } => real(&mut budget.name, 0),
        _ => {}
    }
    edit
}

fn aim(change: &Change, desired: &DesiredState, machine: &Description) -> Change {
    let allowed = usable(machine);
    let aimed = change.edits.iter().map(|edit| aimed(edit.clone(), desired, &allowed));
    Change { edits: aimed.collect() }
}

type Scenario = (Description, DesiredState, Vec<Change>);

/// A machine, a layout on it, and changes of it.
fn scenarios(count: usize) -> impl Strategy<Value = Scenario> {
    machines().prop_flat_map(move |machine| {
        let allowed = usable(&machine);
        (Just(machine), layouts(allowed), prop::collection::vec(changes(allowed), count)).prop_map(
            |(machine, layout, changes)| {
                let desired = DesiredState::resolve(&layout, &machine).unwrap_or_default();
                (machine, desired, changes)
            },
        )
    })
}

/// Checks the invariants of a state.
fn check_invariants(desired: &DesiredState, machine: &Description) -> Result<(), TestCaseError> {
    let allowed = usable(machine);
    let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for row in &desired.rows {
        prop_assert!(names.insert(&row.budget.name));
        prop_assert!(ids.insert(row.id) && row.id != 0);
        prop_assert!(row.cores.is_subset(&allowed), "{} of {allowed}", row.cores);
        prop_assert!(row.threads >= 1);
        prop_assert_eq!(row.concurrency == 0, row.budget.paused || row.cores.is_empty());
        for other in desired.rows.iter().filter(|other| other.budget.name != row.budget.name) {
            prop_assert!(!row.budget.reserve || row.cores.is_disjoint(&other.cores));
        }
    }
    let ledger = desired.ledger(machine);
    prop_assert_eq!(ledger.free.union(&ledger.allotted), allowed);
    prop_assert!(ledger.free.is_disjoint(&ledger.allotted));
    prop_assert!(ledger.reserved.is_disjoint(&ledger.shared));
    prop_assert!(ledger.oversubscribed.is_subset(&ledger.allotted));
    Ok(())
}

/// Rows without their generations, by name.
fn content(desired: &DesiredState) -> BTreeMap<String, Row> {
    let bare = |row: &Row| (row.budget.name.clone(), Row { generation: 0, ..row.clone() });
    desired.rows.iter().map(bare).collect()
}

fn owners(desired: &DesiredState, core: CoreId) -> BTreeSet<String> {
    let has = |row: &&Row| row.cores.contains(core);
    desired.rows.iter().filter(has).map(|row| row.budget.name.clone()).collect()
}

proptest! {
    #[test]
    fn resolve_keeps_invariants(
        (machine, layout) in machines().prop_flat_map(|machine| {
            let allowed = usable(&machine);
            (Just(machine), layouts(allowed))
        })
    ) {
        let resolved = DesiredState::resolve(&layout, &machine);
        prop_assert_eq!(&resolved, &DesiredState::resolve(&layout, &machine));
        if let Ok(desired) = &resolved {
            check_invariants(desired, &machine)?;
            prop_assert_eq!(desired.layout(), layout);
        } else {
            // only reserves can make it impossible: every value here is in range
            prop_assert!(layout.models.iter().any(|budget| budget.reserve));
        }
    }

    #[test]
    fn change_keeps_invariants(
        (machine, mut desired, changes) in scenarios(6)
    ) {
        for change in &changes {
            let change = &aim(change, &desired, &machine);
            let before = desired.clone();
            let outcome = desired.change(change, &machine);
            prop_assert_eq!(&desired, &before);
            prop_assert_eq!(&outcome, &desired.change(change, &machine));
            prop_assert_eq!(&outcome, &desired.plan(change, &machine).map(|plan| plan.after));
            let Ok(after) = outcome else { continue };
            check_invariants(&after, &machine)?;
            for row in &after.rows {
                let Some(was) = before.rows.iter().find(|was| was.id == row.id) else { continue };
                let same = content(&before)[&was.budget.name] == content(&after)[&row.budget.name];
                prop_assert_eq!(row.generation, was.generation + u64::from(!same));
            }
            desired = after;
        }
    }

    #[test]
    fn undo_of_a_rename_keeps_the_model(
        (machine, desired, changes) in scenarios(2), number in 0usize..6, to in names()
    ) {
        let Some(row) = desired.rows.get(number % desired.rows.len().max(1)) else { return Ok(()) };
        let rename = Edit::Rename { model: row.budget.name.clone(), to: to.clone() };
        let free = desired.row(&to).is_none();
        let outcome = desired.plan(&rename.into(), &machine);
        prop_assert_eq!(outcome.is_ok(), free, "{:?}", outcome);
        let Ok(plan) = outcome else { return Ok(()) };
        prop_assert_eq!(plan.rows.len(), 1);
        prop_assert_eq!(plan.rows[0].renamed_from.as_ref(), Some(&row.budget.name));
        prop_assert!(!plan.rows[0].rebuild);
        let renamed = plan.after.row(&to).unwrap();
        prop_assert_eq!((renamed.id, renamed.cores), (row.id, row.cores));
        // changes since then leave the identity alone, whatever they do
        let mut later = plan.after.clone();
        for change in &changes {
            let change = aim(change, &later, &machine);
            later = later.change(&change, &machine).unwrap_or(later);
        }
        let Ok(back) = later.undo(&desired, &plan.after, &machine) else { return Ok(()) };
        check_invariants(&back, &machine)?;
        let same = back.row(&row.budget.name).unwrap();
        prop_assert_eq!((&same.budget, same.cores), (&row.budget, row.cores));
        if later.rows.iter().any(|later| later.id == row.id) {
            prop_assert_eq!(same.id, row.id);
        }
    }

    #[test]
    fn transfer_conserves_cores(
        (machine, desired, edit) in machines().prop_flat_map(|machine| {
            let allowed = usable(&machine);
            let from_to = (core_owners(), core_owners(), any::<bool>());
            (Just(machine), layouts(allowed), selections(allowed), from_to)
        }).prop_map(|(machine, layout, cores, (from, to, share))| {
            let desired = DesiredState::resolve(&layout, &machine).unwrap_or_default();
            let edit = aimed(Edit::TransferCores { cores, from, to, share }, &desired, &usable(&machine));
            (machine, desired, edit)
        })
    ) {
        let Ok(after) = desired.change(&edit.clone().into(), &machine) else { return Ok(()) };
        let Edit::TransferCores { cores, from, to, share } = edit else { unreachable!() };
        let mut moved = 0;
        for core in usable(&machine).iter() {
            let (was, is) = (owners(&desired, core), owners(&after, core));
            if was == is {
                continue;
            }
            moved += 1;
            let mut expected = was.clone();
            if let (CoreOwner::Model(name), false) = (&from, share) {
                prop_assert!(expected.remove(name));
            }
            if let CoreOwner::Model(name) = &to {
                expected.insert(name.clone());
            }
            prop_assert_eq!(is, expected);
            if let CoreSelection::These(these) = cores {
                prop_assert!(these.contains(core));
            }
        }
        match cores {
            CoreSelection::Count(count) => prop_assert_eq!(moved, count),
            // naming a core that is shared already may only pin it
            CoreSelection::These(these) => prop_assert!(moved == these.len() || share),
        }
    }

    #[test]
    fn restore_undoes_any_change((machine, desired, changes) in scenarios(1)) {
        for change in &changes {
            let change = &aim(change, &desired, &machine);
            let Ok(after) = desired.change(change, &machine) else { continue };
            let back = after.restore(&desired.rows_before(&after), &machine);
            prop_assert!(back.is_ok(), "{:?}", back);
            prop_assert_eq!(content(&back.unwrap()), content(&desired));
            let undone = after.undo(&desired, &after, &machine).unwrap();
            prop_assert_eq!(content(&undone), content(&desired));
            prop_assert_eq!(undone.layout(), desired.layout());
        }
    }

    #[test]
    fn refit_keeps_invariants(
        (machine, desired, left) in scenarios(0).prop_flat_map(|(machine, desired, _)| {
            let allowed = usable(&machine);
            (Just(machine), Just(desired), subset(allowed))
        })
    ) {
        // on the machine that the state was made for, nothing moves
        let (same, messages) = desired.refit(&machine);
        prop_assert_eq!(&same, &desired);
        prop_assert!(messages.is_empty());
        let mut small = machine.clone();
        small.limits.allowed = left;
        let (fitted, messages) = desired.refit(&small);
        check_invariants(&fitted, &small)?;
        let moved = desired.rows.iter().zip(&fitted.rows).filter(|(a, b)| a.cores != b.cores);
        prop_assert_eq!(messages.len(), moved.count());
        prop_assert_eq!(&fitted.refit(&small).0, &fitted);
        let (back, _) = fitted.refit(&machine);
        check_invariants(&back, &machine)?;
        for (was, is) in desired.rows.iter().zip(&back.rows) {
            if let CoreRequest::List(list) = was.budget.cores {
                let barred = back.rows.iter()
                    .filter(|row| row.budget.name != was.budget.name && row.budget.reserve)
                    .fold(CpuSet::EMPTY, |all, row| all.union(&row.cores));
                prop_assert!(is.cores == list.difference(&barred) || was.budget.reserve);
            }
        }
    }

    #[test]
    fn pressure_is_halls_deficiency(
        rows in prop::collection::vec((prop::collection::btree_set(0u16..6, 1..5), 1usize..4), 1..6)
    ) {
        let machine = Description::uniform(6);
        let models = rows.iter().enumerate().map(|(at, (cores, threads))| Budget {
            concurrency: exactly(*threads),
            cores: CoreRequest::List(cores.iter().copied().map(CoreId).collect()),
            ..count(&format!("m{at}"), 0)
        });
        let layout = Layout { description: String::new(), models: models.collect() };
        let desired = DesiredState::resolve(&layout, &machine).unwrap();
        // the threads of every set of rows, beyond its cores
        let excess = |subset: u32| {
            let rows = || desired.rows.iter().enumerate().filter(|(at, _)| subset >> at & 1 == 1);
            let cores = rows().fold(CpuSet::EMPTY, |all, (_, row)| all.union(&row.cores));
            let threads: usize = rows().map(|(_, row)| row.concurrency).sum();
            (threads.saturating_sub(cores.len()), cores)
        };
        let sets: Vec<(usize, CpuSet)> = (0..1 << rows.len()).map(excess).collect();
        let worst = sets.iter().map(|(excess, _)| *excess).max().unwrap();
        let pressure = pressure(&desired);
        prop_assert_eq!(pressure.excess, worst);
        prop_assert!(sets.contains(&(pressure.excess, pressure.cores)));
        prop_assert_eq!(pressure.cores.is_empty(), worst == 0);
    }
}
