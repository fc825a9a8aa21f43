//! Thousands of changes from four threads at once, while requests panic, fail, time out and are
//! cancelled, builds fail, and CPUs go and come: every request has exactly one answer, no thread is
//! leaked, memory stays bounded.
//!
//! One test alone in its process, because it counts the process's threads and memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs, dead_code)]

#[path = "scheduler/test_scheduler.rs"]
mod test_scheduler;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use divvy::layout::{
    Auto, Change, CoreOwner, CoreRequest, CoreSelection, Edit, Overflow, QueuePolicy,
};
use divvy::machine::{CoreId, CpuSet};
use divvy::pool::Request;
use divvy::scheduler::{Control, ModelClient, Scheduler};
use divvy::telemetry::Author;

use test_scheduler::*;

const CHANGES: usize = 5000;
const CORES: usize = 8;
const MODELS: [&str; 4] = ["a", "b", "c", "d"];

/// Counts the answers, and the requests that were answered twice.
#[derive(Default)]
struct AnswerCheck {
    answers: Arc<Answers>,
    twice: Arc<AtomicUsize>,
}

impl AnswerCheck {
    fn submit(&self, client: &ModelClient) {
        let (answers, twice) = (self.answers.clone(), self.twice.clone());
        answers.asked.fetch_add(1, Ordering::SeqCst);
        let once = AtomicBool::new(false);
        let reply = Box::new(move |outcome| {
            if once.swap(true, Ordering::SeqCst) {
                twice.fetch_add(1, Ordering::SeqCst);
            }
            answers.note(&outcome);
        });
        client.sender().submit(Request::new(Arc::default(), reply));
    }
}

/// Returns the number of threads, without the one that trims the heap: that one serves the process and
/// never ends.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread may end while its name is read.
    let names = tasks.filter_map(|task| std::fs::read(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name != b"divvy-trim\n").count()
}

fn status(key: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn change(random: &mut fastrand::Rng) -> Change {
    let mut name = || (*random.choice(MODELS).unwrap()).to_owned();
    let (model, other) = (name(), name());
    let count = random.usize(1..4);
    let cores = CoreSelection::Count(count);
    let to = CoreOwner::Model(model.clone());
    let edit = match random.u32(0..100) {
        0..15 => Edit::TransferCores {
            cores,
            from: CoreOwner::Model(other),
            to,
            share: random.u8(0..4) == 0,
        },
        15..20 => Edit::TransferCores { cores, from: CoreOwner::Free, to, share: false },
        20..45 => Edit::SetCores { model, cores: CoreRequest::Count(count) },
        45..65 => Edit::SetConcurrency { model, concurrency: Auto::Exactly(count * 2) },
        65..70 => Edit::TransferConcurrency { count: 1, from: other, to: model },
        70..78 => Edit::SetThreads { model, threads: Auto::Exactly(count) },
        78..81 => Edit::Pause { model, paused: random.u8(0..4) == 0 },
        81..86 => {
            let timeout = random.bool().then_some(Duration::from_millis(3));
            let overflow = if random.bool() { Overflow::Block } else { Overflow::Reject };
            Edit::SetQueue {
                model,
                queue: QueuePolicy { limit: 40, timeout, overflow, ..QueuePolicy::default() },
            }
        }
        86 => Edit::SetReserve { model, reserve: random.u8(0..3) == 0 },
        87 => Edit::Remove { model },
        88..93 => Edit::SetWeight { model, weight: 1 << random.u32(0..7) },
        _ => Edit::Add { budget: Box::new(row(&model, "0-1")) },
    };
    Change::from(edit)
}

/// Makes scripts fail and recover, and CPUs go and come.
fn inject_faults(test: &TestScheduler, over: &AtomicBool) {
    let mut random = fastrand::Rng::with_seed(99);
    while !over.load(Ordering::SeqCst) {
        let script = test.scripts.of(MODELS[random.usize(..MODELS.len())]);
        match random.u8(0..6) {
            0 => script.panic_every.store(random.u64(20..60), Ordering::SeqCst),
            1 => script.fail_every.store(random.u64(20..60), Ordering::SeqCst),
            2 => script.build_fails.store(random.bool(), Ordering::SeqCst),
            3 => script.sleep_ns.store(random.u64(0..400_000), Ordering::SeqCst),
            4 => test.machine.set_online(CoreId(random.u16(1..CORES as u16)), random.bool()),
            _ => {
                let cores = (0..CORES as u16).filter(|id| *id == 0 || random.u8(0..4) > 0);
                test.machine.set_cpuset(cores.map(CoreId).collect());
            }
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

fn apply_changes(scheduler: &Scheduler, seed: u64, taken: &AtomicUsize, refused: &AtomicUsize) {
    let mut random = fastrand::Rng::with_seed(seed);
    while taken.load(Ordering::SeqCst) < CHANGES {
        let outcome = match random.u8(0..40) {
            0 => scheduler.undo(Author::Console),
            1 => scheduler.redo(Author::Console),
            _ => scheduler.apply(change(&mut random), Author::Console),
        };
        let count = if outcome.is_ok() { taken } else { refused };
        count.fetch_add(1, Ordering::SeqCst);
    }
}

/// Sends bursts of requests and cancels some calls. Returns the number of cancelled calls.
fn call(scheduler: &Scheduler, check: &AnswerCheck, over: &AtomicBool, seed: u64) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut cancelled = 0;
    while !over.load(Ordering::SeqCst) {
        let Some(client) = scheduler.client(MODELS[random.usize(..MODELS.len())]) else { continue };
        for _ in 0..random.usize(1..12) {
            check.submit(&client);
        }
        let patience = Duration::from_micros(random.u64(1..500));
        let call = async { tokio::time::timeout(patience, client.infer(Arc::default())).await };
        cancelled += usize::from(runtime.block_on(call).is_err());
    }
    cancelled
}

#[test]
fn chaos_loses_no_request() {
    let threads_before = threads();
    let models = vec![row("a", "0-2"), row("b", "3-4"), row("c", "5"), row("d", "6-7")];
    let test = TestScheduler::start(CORES, models);
    // The harder case: raising a model's threads rebuilds its instances.
    test.machine.forbid_raising();
    let scheduler = &test.scheduler;
    let (over, taken, refused) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let check = AnswerCheck::default();
    let cancelled = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let changers: Vec<_> = (0..4)
            .map(|seed| {
                let (taken, refused) = (&taken, &refused);
                scope.spawn(move || apply_changes(scheduler, seed, taken, refused))
            })
            .collect();
        scope.spawn(|| inject_faults(&test, &over));
        for seed in 0..2 {
            let (check, over, cancelled) = (&check, &over, &cancelled);
            scope.spawn(move || {
                cancelled.fetch_add(call(scheduler, check, over, 7 + seed), Ordering::SeqCst);
            });
        }
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                for view in &test.snapshot().models {
                    assert!(view.counts.balanced(), "{:?}", view.counts);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for changer in changers {
            changer.join().unwrap();
        }
        over.store(true, Ordering::SeqCst);
    });
    let (taken, refused) = (taken.load(Ordering::SeqCst), refused.load(Ordering::SeqCst));
    assert!(refused > 0, "some changes were refused");
    assert!(cancelled.load(Ordering::SeqCst) > 0, "some calls were cancelled");
    for core in 0..CORES as u16 {
        test.machine.set_online(CoreId(core), true);
    }
    test.machine.set_cpuset(CpuSet::first(CORES));
    test.recover(|_| {});
    let journal = scheduler.journal();
    assert!(journal.last().unwrap().id >= taken as u64);
    let last = scheduler.stop(PATIENCE).unwrap();
    for view in &last.models {
        assert!(view.counts.balanced());
        assert_eq!(view.counts.queued + view.counts.blocked + view.counts.executing, 0);
    }
    let answers = &check.answers;
    test.wait("answers", || answers.all());
    assert_eq!(check.twice.load(Ordering::SeqCst), 0);
    let kinds = [&answers.completed, &answers.failed, &answers.timed_out];
    assert!(kinds.iter().all(|count| count.load(Ordering::SeqCst) > 0), "{answers:?}");
    drop(test);
    // The threads that drain removed models end too.
    let started = std::time::Instant::now();
    while threads() > threads_before {
        assert!(started.elapsed() < PATIENCE, "{} threads remain", threads());
        std::thread::sleep(Duration::from_millis(10));
    }
    let peak = status("VmHWM:") / 1024;
    println!("{taken} changes taken, {refused} refused, {answers:?}, peak {peak} MiB");
    assert!(peak < 600, "{peak} MiB at the peak");
}
