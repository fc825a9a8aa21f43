//! Summaries, warnings and the ledger.

use std::time::Duration;

use super::super::super::budget::{LoadSpec, QueuePolicy, Slo};
use super::super::super::gpu_id::GpuId;
use super::super::super::units::Bytes;
use super::super::pressure::pressure;
use super::*;
use crate::machine::{Gpu, Gpus};

fn texts(desired: &DesiredState, change: &Change, machine: &Description) -> (String, Vec<String>) {
    let plan = desired.plan(change, machine).unwrap();
    (plan.summary, plan.warnings)
}

#[test]
fn summary_of_a_transfer() {
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
fn new_threads_or_spinning_rebuild() {
    let (desired, machine) = on(8, [latency(count("a", 2)), count("b", 2)]);
    let plan = desired.plan(&moves(1, "b", "a"), &machine).unwrap();
    assert_eq!(plan.summary, "a 2 -> 3 cores, 2 -> 3 threads, b 2 -> 1: 1 instance idle");
    assert_eq!(plan.rows.iter().map(|row| row.rebuild).collect::<Vec<_>>(), [true, false]);
    // b gets a core of a: a's threads stop spinning though a's row is unchanged
    let spinning = Budget { spinning: Some(true), threads: exactly(2), ..list("a", "0-1") };
    let (desired, machine) = on(4, [spinning, list("b", "2")]);
    let edit = Edit::SetCores { model: "b".into(), cores: CoreRequest::List(set("1-2")) };
    let plan = desired.plan(&edit.into(), &machine).unwrap();
    assert_eq!(plan.rows.iter().map(|row| row.rebuild).collect::<Vec<_>>(), [true, false]);
    assert_eq!(plan.after.row("a").unwrap().generation, 0);
}

#[test]
fn warns_once_about_oversubscription() {
    let (desired, machine) = on(4, [count("a", 2), count("b", 2)]);
    let set =
        |number| Edit::SetConcurrency { model: "a".into(), concurrency: exactly(number) }.into();
    let plan = desired.plan(&set(3), &machine).unwrap();
    assert_eq!(plan.warnings, ["oversubscribed: 3 threads of a on 2 cores (0-1)"]);
    assert_eq!(plan.ledger.oversubscribed, super::set("0-1"));
    let (_, fewer) = texts(&plan.after.change(&set(4), &machine).unwrap(), &set(3), &machine);
    assert!(fewer.is_empty(), "it gets better: {fewer:?}");
}

#[test]
fn crowded_only_if_unavoidable() {
    let two = |name, cores| Budget { concurrency: exactly(2), ..list(name, cores) };
    let crowded = |models: [Budget; 2]| {
        let (desired, machine) = on(8, models);
        (desired.ledger(&machine).oversubscribed.to_string(), pressure(&desired).excess)
    };
    // the two threads of a fit on 0-2, and those of b on the rest of 0-3
    assert_eq!(crowded([two("a", "0-2"), two("b", "0-3")]), (String::new(), 0));
    assert_eq!(crowded([two("a", "0-1"), two("b", "0-3")]), (String::new(), 0));
    // two threads on core 0 are one too many; b can use the other cores
    assert_eq!(crowded([two("a", "0"), two("b", "0-7")]), ("0".into(), 1));
    assert_eq!(crowded([two("b", "0-7"), two("a", "0")]), ("0".into(), 1));
    assert_eq!(crowded([two("a", "0-1"), two("b", "0-1")]), ("0-1".into(), 2));
}

#[test]
fn warns_about_idle_cores() {
    let wide = Budget { threads: exactly(2), ..count("a", 4) };
    let (desired, mut machine) = on(8, [wide, count("b", 1)]);
    let (summary, warnings) = texts(&desired, &moves(1, "b", "a"), &machine);
    assert_eq!(summary, "a 4 -> 5 cores: 1 core idle, b 1 -> 0: paused without cores");
    assert_eq!(
        warnings,
        [
            "a leaves 1 of 5 cores idle: 2 instances x 2 threads",
            "b has no cores and is paused: 64 requests may wait, others are rejected",
        ]
    );
    machine.limits.quota = Some(2.5);
    let (_, warnings) = texts(&desired, &moves(1, "free", "b"), &machine);
    assert_eq!(
        warnings,
        ["6 cores are allotted, but the container may use only 2.5 CPUs at a time"]
    );
    assert_eq!(desired.ledger(&machine).oversubscribed, set("0-4"));
}

#[test]
fn summaries_of_other_edits() {
    let (desired, machine) = on(8, [count("a", 2), count("b", 1)]);
    let one = |edit: Edit| texts(&desired, &edit.into(), &machine).0;
    let model = || "a".to_owned();
    assert_eq!(
        one(Edit::SetConcurrency { model: model(), concurrency: exactly(1) }),
        "a 2 -> 1 instances: 1 core idle"
    );
    assert_eq!(one(Edit::Pause { model: model(), paused: true }), "a paused");
    assert_eq!(one(Edit::SetReserve { model: model(), reserve: true }), "a cores reserved");
    assert_eq!(one(Edit::Remove { model: model() }), "a removed, 2 cores freed");
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
fn ledger_sums_all_rows() {
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
fn gpu_edits_are_checked() {
    let (desired, mut machine) = on(4, [count("a", 2), count("b", 2)]);
    let set = |model: &str, gpu: Option<u32>, gibibytes: Option<u64>| -> Change {
        Edit::SetGpu {
            model: model.into(),
            gpu: gpu.map(GpuId::Index),
            gpu_memory: gibibytes.map(|size| Bytes(size << 30)),
        }
        .into()
    };
    let gpu = |index| Gpu { index, memory: Some(8 << 30), ..Gpu::default() };
    machine.gpus = Gpus { devices: vec![gpu(0), gpu(1)], note: None };
    let first = desired.plan(&set("a", Some(0), Some(6)), &machine).unwrap();
    assert_eq!(first.summary, "a moves to GPU 0, GPU memory 6GiB");
    assert!(first.rows.iter().all(|row| row.rebuild) && first.warnings.is_empty());
    assert_eq!(first.after.row("a").unwrap().gpu_memory_each(), Some(Bytes(3 << 30)));
    let second = first.after.plan(&set("b", Some(0), Some(4)), &machine).unwrap();
    assert_eq!(second.warnings, ["the memory limits on GPU 0 add up to 10GiB, but it has 8.0 GiB"]);
    let less = second.after.plan(&set("b", Some(0), Some(3)), &machine).unwrap();
    assert!(less.warnings.is_empty(), "it gets better: {:?}", less.warnings);
    let back = second.after.plan(&set("a", None, None), &machine).unwrap();
    assert_eq!(back.summary, "a moves to the CPU");
    assert!(back.warnings.is_empty(), "{:?}", back.warnings);
    for (refused, message) in [
        (set("a", Some(9), None), "there is no GPU 9: this machine has 0 (, ), 1 (, )"),
        (set("a", Some(1), Some(9)), "a limit of 9GiB exceeds the memory of GPU 1, 8.0 GiB"),
        (set("a", None, Some(1)), "a GPU memory limit needs a GPU: set `gpu` too"),
        (set("a", Some(0), Some(0)), "a GPU memory limit must be 1 B or more"),
    ] {
        let refusal = desired.change(&refused, &machine).unwrap_err();
        assert_eq!((refusal.model.as_deref(), refusal.reason.as_str()), (Some("a"), message));
    }
    machine.gpus = Gpus::default();
    assert!(desired.change(&set("a", Some(9), None), &machine).is_ok(), "the engine decides");
}

#[test]
fn missing_gpu_does_not_stop_placement() {
    let mut machine = Description::uniform(4);
    machine.gpus.devices = vec![Gpu::default()];
    let lost = Budget { gpu: Some(GpuId::Index(9)), ..count("a", 2) };
    let desired = DesiredState::resolve(&layout([lost, count("b", 2)]), &machine).unwrap();
    assert_eq!(desired.rows.len(), 2, "the other model is placed");
    let alone = Budget { gpu_memory: Some(Bytes(1)), ..count("a", 1) };
    assert!(DesiredState::resolve(&layout([alone]), &machine).is_err());
}

#[test]
fn warns_once_about_excess_memory() {
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
        ["the memory budgets add up to 1536MiB, but the container may use 1.0 GiB"]
    );
    let less = second.after.plan(&set("b", 256), &machine).unwrap();
    assert!(less.warnings.is_empty(), "it gets better: {:?}", less.warnings);
    assert_eq!(less.ledger.memory_budgeted, 1280 << 20);
}

#[test]
fn sharing_donor_gets_a_list() {
    let (desired, machine) = on(2, [count("a", 1), count("b", 1)]);
    let share = shares(CoreSelection::These(set("1")), "b", "a");
    let plan = desired.plan(&share, &machine).unwrap();
    assert_eq!(plan.summary, "a 1 -> 2 cores, b fixed on core 1");
}

#[test]
fn pausing_says_what_is_lost() {
    let load = Some(LoadSpec::Poisson { rate: 40.0 });
    let timeout = Some(Duration::from_millis(500));
    let queue = QueuePolicy { timeout, ..QueuePolicy::default() };
    let (desired, machine) = on(2, [Budget { queue, load, ..count("a", 1) }, count("b", 1)]);
    let pause = |model: &str| {
        texts(&desired, &Edit::Pause { model: model.to_owned(), paused: true }.into(), &machine).1
    };
    assert_eq!(pause("a"), ["a is paused: 40/s -> 0/s, requests time out after 500ms"]);
    assert_eq!(pause("b"), ["b is paused: 64 requests may wait, others are rejected"]);
}

#[test]
fn core_requests_are_sentences() {
    let (desired, machine) = on(3, [count("a", 1)]);
    let set = |cores: CoreRequest| {
        texts(&desired, &Edit::SetCores { model: "a".to_owned(), cores }.into(), &machine).0
    };
    assert_eq!(set(CoreRequest::List(super::set("0"))), "a fixed on core 0");
    assert_eq!(set(CoreRequest::Share(100.0 / 3.0)), "a on any 33.33% of the cores");
}

#[test]
fn one_crowded_core_is_named() {
    let two = Budget { threads: exactly(2), concurrency: exactly(1), ..count("a", 2) };
    let (desired, machine) = on(2, [two]);
    let fix = Edit::SetCores { model: "a".to_owned(), cores: CoreRequest::List(super::set("0")) };
    let (_, warnings) = texts(&desired, &fix.into(), &machine);
    assert_eq!(warnings, ["oversubscribed: 2 threads of a on core 0"]);
}
