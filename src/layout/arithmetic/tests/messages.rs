//! What a plan and the ledger say.

use std::time::Duration;

use super::super::super::budget::{QueuePolicy, Slo};
use super::super::super::gpu_id::GpuId;
use super::super::super::units::Bytes;
use super::*;
use crate::machine::{Gpu, Gpus};

fn told(desired: &DesiredState, change: &Change, machine: &Description) -> (String, Vec<String>) {
    let plan = desired.plan(change, machine).unwrap();
    (plan.summary, plan.warnings)
}

#[test]
fn a_transfer_is_told_in_the_operators_words() {
    let (desired, machine) = on(8, [count("detector", 4), count("ocr", 2)]);
    let plan = desired.plan(&moves(1, "ocr", "detector"), &machine).unwrap();
    assert_eq!(plan.summary, "detector 4 -> 5 cores, ocr 2 -> 1: 1 instance idle");
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
    assert_eq!(plan.ledger, plan.after.ledger(&machine));
    let rows: Vec<_> = plan
        .rows
        .iter()
        .map(|row| (row.model.as_str(), row.concurrency_before, row.concurrency_after, row.rebuild))
        .collect();
    assert_eq!(rows, [("detector", 4, 5, false), ("ocr", 2, 1, false)]);
}

#[test]
fn only_a_new_width_or_spinning_builds_anew() {
    let (desired, machine) = on(8, [latency(count("a", 2)), count("b", 2)]);
    let plan = desired.plan(&moves(1, "b", "a"), &machine).unwrap();
    assert_eq!(plan.summary, "a 2 -> 3 cores, 2 -> 3 threads, b 2 -> 1: 1 instance idle");
    assert_eq!(plan.rows.iter().map(|row| row.rebuild).collect::<Vec<_>>(), [true, false]);
    // b comes onto a's cores: a's threads stop spinning though a's row is as it was
    let spinning = Budget { spinning: Some(true), threads: exactly(2), ..list("a", "0-1") };
    let (desired, machine) = on(4, [spinning, list("b", "2")]);
    let edit = Edit::SetCores { model: "b".into(), cores: CoreRequest::List(set("1-2")) };
    let plan = desired.plan(&edit.into(), &machine).unwrap();
    assert_eq!(plan.rows.iter().map(|row| row.rebuild).collect::<Vec<_>>(), [true, false]);
    assert_eq!(plan.after.row("a").unwrap().generation, 0);
}

#[test]
fn oversubscription_is_said_before_and_once() {
    let (desired, machine) = on(4, [count("a", 2), count("b", 2)]);
    let set =
        |number| Edit::SetConcurrency { model: "a".into(), concurrency: exactly(number) }.into();
    let plan = desired.plan(&set(3), &machine).unwrap();
    assert_eq!(plan.warnings, ["oversubscribed: 3 threads of a on 2 cores (0-1)"]);
    assert_eq!(plan.ledger.oversubscribed, super::set("0-1"));
    let (_, fewer) = told(&plan.after.change(&set(4), &machine).unwrap(), &set(3), &machine);
    assert!(fewer.is_empty(), "it gets better: {fewer:?}");
}

#[test]
fn a_core_is_crowded_only_if_no_arrangement_avoids_it() {
    let two = |name, cores| Budget { concurrency: exactly(2), ..list(name, cores) };
    let crowded = |models: [Budget; 2]| {
        let (desired, machine) = on(8, models);
        (desired.ledger(&machine).oversubscribed.to_string(), desired.pressure().excess)
    };
    // a's two threads fit on 0-2 beside b's two on 0-3
    assert_eq!(crowded([two("a", "0-2"), two("b", "0-3")]), (String::new(), 0));
    assert_eq!(crowded([two("a", "0-1"), two("b", "0-3")]), (String::new(), 0));
    // two threads on core 0 are one too many; b keeps out of their way
    assert_eq!(crowded([two("a", "0"), two("b", "0-7")]), ("0".into(), 1));
    assert_eq!(crowded([two("b", "0-7"), two("a", "0")]), ("0".into(), 1));
    assert_eq!(crowded([two("a", "0-1"), two("b", "0-1")]), ("0-1".into(), 2));
}

#[test]
fn idle_cores_paused_models_and_quotas_are_said() {
    let wide = Budget { threads: exactly(2), ..count("a", 4) };
    let (desired, mut machine) = on(8, [wide, count("b", 1)]);
    let (summary, warnings) = told(&desired, &moves(1, "b", "a"), &machine);
    assert_eq!(summary, "a 4 -> 5 cores: 1 core idle, b 1 -> 0: paused without cores");
    assert_eq!(
        warnings,
        [
            "a leaves 1 of 5 cores idle: 2 instances x 2 threads",
            "b has no cores: it is paused, its queue holds until it is full",
        ]
    );
    machine.limits.quota = Some(2.5);
    let (_, warnings) = told(&desired, &moves(1, "free", "b"), &machine);
    assert_eq!(warnings, ["6 cores are allotted, and the container may use 2.5 CPUs at once"]);
    assert_eq!(desired.ledger(&machine).oversubscribed, set("0-4"));
}

#[test]
fn other_edits_are_told_too() {
    let (desired, machine) = on(8, [count("a", 2), count("b", 1)]);
    let one = |edit: Edit| told(&desired, &edit.into(), &machine).0;
    let model = || "a".to_owned();
    assert_eq!(
        one(Edit::SetConcurrency { model: model(), concurrency: exactly(1) }),
        "a 2 -> 1 instances: 1 core idle"
    );
    assert_eq!(one(Edit::Pause { model: model(), paused: true }), "a paused");
    assert_eq!(one(Edit::SetReserve { model: model(), reserve: true }), "a cores reserved");
    assert_eq!(one(Edit::Remove { model: model() }), "a removed, 2 cores given back");
    assert_eq!(one(Edit::Add { budget: Box::new(count("c", 2)) }), "c added with 2 cores");
    assert_eq!(
        one(Edit::SetThreads { model: model(), threads: exactly(2) }),
        "a 1 -> 2 threads: 1 instance fewer"
    );
    assert_eq!(
        one(Edit::SetConcurrency { model: model(), concurrency: exactly(2) }),
        "a concurrency fixed at 2"
    );
    let queue = QueuePolicy { limit: 128, ..QueuePolicy::default() };
    assert_eq!(one(Edit::SetQueue { model: model(), queue }), "a queue 64 -> 128");
    let slo = Some(Slo { percentile: 99.0, bound: Duration::from_millis(20) });
    assert_eq!(one(Edit::SetSlo { model: model(), slo }), "a target p99 20ms");
    assert_eq!(one(Edit::SetSpinning { model: model(), spinning: Some(true) }), "a spinning on");
    let objective = Objective::Latency;
    assert_eq!(
        one(Edit::SetObjective { model: model(), objective }),
        "a 1 -> 2 threads, for latency: 1 instance fewer"
    );
}

#[test]
fn the_ledger_tells_who_has_what() {
    let (desired, mut machine) =
        on(8, [reserved(list("a", "0-1")), list("b", "2-4"), list("c", "4-5")]);
    machine.limits.quota = Some(16.0);
    let ledger = desired.ledger(&machine);
    assert_eq!(ledger.allowed, set("0-7"));
    assert_eq!(ledger.allotted, set("0-5"));
    assert_eq!(ledger.free, set("6-7"));
    assert_eq!(ledger.shared, set("4"));
    assert_eq!(ledger.reserved, set("0-1"));
    assert_eq!(ledger.oversubscribed, set("2-5"));
    assert_eq!((ledger.threads, ledger.quota), (7, Some(16.0)));
}

#[test]
fn moving_to_a_gpu_is_told_refused_where_it_is_not_there_and_warned_about_when_it_is_full() {
    let (desired, mut machine) = on(4, [count("a", 2), count("b", 2)]);
    let set = |model: &str, gpu: Option<u32>, gibibytes: Option<u64>| -> Change {
        Edit::SetGpu {
            model: model.into(),
            gpu: gpu.map(GpuId::Index),
            gpu_memory: gibibytes.map(|size| Bytes(size << 30)),
        }
        .into()
    };
    let card = |index| Gpu { index, memory: Some(8 << 30), ..Gpu::default() };
    machine.gpus = Gpus { cards: vec![card(0), card(1)], note: None };
    let first = desired.plan(&set("a", Some(0), Some(6)), &machine).unwrap();
    assert_eq!(first.summary, "a onto GPU 0, GPU memory 6GiB");
    assert!(first.rows.iter().all(|row| row.rebuild) && first.warnings.is_empty());
    assert_eq!(first.after.row("a").unwrap().gpu_memory_each(), Some(Bytes(3 << 30)));
    let second = first.after.plan(&set("b", Some(0), Some(4)), &machine).unwrap();
    assert_eq!(second.warnings, ["the memory limits on GPU 0 add up to 10GiB, and it has 8.0 GiB"]);
    let less = second.after.plan(&set("b", Some(0), Some(3)), &machine).unwrap();
    assert!(less.warnings.is_empty(), "it gets better: {:?}", less.warnings);
    let back = second.after.plan(&set("a", None, None), &machine).unwrap();
    assert_eq!(back.summary, "a onto the CPU");
    assert!(back.warnings.is_empty(), "{:?}", back.warnings);
    for (refused, words) in [
        (set("a", Some(9), None), "there is no GPU 9: this machine has 0 (, ), 1 (, )"),
        (set("a", Some(1), Some(9)), "a limit of 9GiB is above what GPU 1 has, 8.0 GiB"),
        (set("a", None, Some(1)), "a limit on GPU memory needs a GPU: name one too"),
        (set("a", Some(0), Some(0)), "a limit on GPU memory is 1 B or more"),
    ] {
        let refusal = desired.change(&refused, &machine).unwrap_err();
        assert_eq!((refusal.model.as_deref(), refusal.reason.as_str()), (Some("a"), words));
    }
    machine.gpus = Gpus::default();
    assert!(desired.change(&set("a", Some(9), None), &machine).is_ok(), "the engine decides");
}

#[test]
fn a_layout_is_placed_though_its_gpu_is_not_there() {
    let mut machine = Description::uniform(4);
    machine.gpus.cards = vec![Gpu::default()];
    let lost = Budget { gpu: Some(GpuId::Index(9)), ..count("a", 2) };
    let desired = DesiredState::resolve(&layout([lost, count("b", 2)]), &machine).unwrap();
    assert_eq!(desired.rows.len(), 2, "nothing else stops");
    let alone = Budget { gpu_memory: Some(Bytes(1)), ..count("a", 1) };
    assert!(DesiredState::resolve(&layout([alone]), &machine).is_err());
}

#[test]
fn memory_budgets_above_the_machine_are_told_when_they_come_and_not_when_they_shrink() {
    let (desired, mut machine) = on(4, [count("a", 2), count("b", 2)]);
    machine.limits.memory = Some(1 << 30);
    machine.limits.installed = Some(8 << 30);
    let set = |model: &str, mebibytes: u64| {
        Edit::SetMemory { model: model.into(), memory: Some(Bytes(mebibytes << 20)) }.into()
    };
    let first = desired.plan(&set("a", 1024), &machine).unwrap();
    assert!(first.warnings.is_empty(), "{:?}", first.warnings);
    assert_eq!((first.ledger.memory_limit, first.ledger.memory_budgeted), (Some(1 << 30), 1 << 30));
    let second = first.after.plan(&set("b", 512), &machine).unwrap();
    assert_eq!(
        second.warnings,
        ["the memory budgets add up to 1536MiB, and the container may use 1.0 GiB"]
    );
    let less = second.after.plan(&set("b", 256), &machine).unwrap();
    assert!(less.warnings.is_empty(), "it gets better: {:?}", less.warnings);
    assert_eq!(less.ledger.memory_budgeted, 1280 << 20);
}

#[test]
fn a_donor_that_shares_a_core_keeps_it_by_name() {
    let (desired, machine) = on(2, [count("a", 1), count("b", 1)]);
    let share = transfer(CoreSelection::These(set("1")), "b", "a", true);
    let plan = desired.plan(&share, &machine).unwrap();
    assert_eq!(plan.summary, "a 1 -> 2 cores, b cores fixed at 1");
}
