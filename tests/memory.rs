//! End-to-end tests of memory per model: a real model on the embedded engine with the counting
//! allocator, and memory budgets that are exceeded and changed while it runs.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use divvy::engine::{Engines, MemorySource};
use divvy::layout::{
    Budget, Bytes, Change, Edit, EngineChoice, Layout, LoadSpec, ModelSource, QueuePolicy,
};
use divvy::load::LoadFollower;
use divvy::machine::allocation::CountingAllocator;
use divvy::machine::this_machine;
use divvy::scheduler::{Control, EngineLoader, Options, Scheduler};
use divvy::telemetry::{Author, ModelState, ModelView, Snapshot};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const PATIENCE: Duration = Duration::from_mins(1);

fn start(memory: Option<Bytes>) -> Scheduler {
    let source = ModelSource::Embedded("detector.onnx".to_owned());
    let detector = Budget {
        memory,
        queue: QueuePolicy::default(),
        load: Some(LoadSpec::Closed { clients: 2, think: Duration::ZERO }),
        ..Budget::new("detector", source)
    };
    let layout = Layout { description: String::new(), models: vec![detector] };
    let engines = Arc::new(Engines::new(EngineChoice::Rten, None));
    let machine = this_machine(None).unwrap();
    let mut options = Options::new(machine, Arc::new(EngineLoader::new(engines)));
    options.interval = Duration::from_millis(50);
    Scheduler::start(&layout, options).unwrap()
}

fn until(scheduler: &Scheduler, what: &str, done: impl Fn(&ModelView) -> bool) -> Arc<Snapshot> {
    let start = Instant::now();
    loop {
        let snapshot = scheduler.snapshots().borrow().clone();
        if let Some(view) = snapshot.model("detector") {
            assert!(view.counts.balanced());
            let table = &snapshot.memory_table;
            let parts = table.sum_bytes.cast_signed() + table.unattributed_bytes;
            assert_eq!(parts, table.process_bytes.cast_signed());
            if done(view) {
                return snapshot;
            }
        }
        assert!(start.elapsed() < PATIENCE, "timed out: {what}: {:?}", snapshot.models);
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn set_budget(scheduler: &Scheduler, memory: Option<Bytes>) {
    let edit = Edit::SetMemory { model: "detector".to_owned(), memory };
    scheduler.apply(Change::from(edit), Author::Api).unwrap();
}

#[test]
fn memory_budget_limits_requests() {
    let scheduler = start(None);
    until(&scheduler, "running", |view| view.state == ModelState::Running);
    let load = LoadFollower::start(scheduler.loads()).unwrap();
    let snapshot = until(&scheduler, "requests and activations", |view| {
        view.counts.completed > 20 && view.memory.arena.is_some_and(|bytes| bytes > 1 << 20)
    });
    let row = &snapshot.memory_table.models[0];
    assert_eq!(row.weights_source, MemorySource::Measured);
    assert_eq!(row.arena_source, MemorySource::Measured);
    assert!(row.weights_bytes > 0 && row.prepared_bytes > 0 && row.copies == 1, "{row:?}");
    assert!(row.total() < snapshot.memory_table.process_bytes);

    // Too small for a request: new requests fail or are rejected; the model keeps running.
    set_budget(&scheduler, Some(Bytes(row.weights_bytes + row.prepared_bytes + (1 << 20))));
    let before = snapshot.models[0].counts;
    let pressed = until(&scheduler, "requests above the budget", |view| {
        view.counts.failed + view.counts.rejected > before.failed + before.rejected + 3
    });
    assert_eq!(pressed.models[0].state, ModelState::Running);
    set_budget(&scheduler, None);
    let done = pressed.models[0].counts.completed;
    until(&scheduler, "requests after raising the budget", |view| {
        view.counts.completed > done + 20
    });
    load.stop(PATIENCE);
    let idle = until(&scheduler, "an idle model", |view| view.counts.executing == 0);
    assert_eq!(idle.memory_table.models[0].requests_bytes, 0);
    assert_eq!(idle.memory_table.models[0].over, None);
}

#[test]
fn raising_the_budget_retries_a_refused_load() {
    let scheduler = start(Some(Bytes(1024)));
    let failed =
        until(&scheduler, "refusal", |view| matches!(view.state, ModelState::Failed { .. }));
    let ModelState::Failed { reason } = &failed.models[0].state else { unreachable!() };
    assert!(reason.contains("memory budget") && reason.contains("was not loaded"), "{reason}");
    assert_eq!(failed.memory_table.models[0].weights_bytes, 0);
    set_budget(&scheduler, Some(Bytes(1 << 30)));
    until(&scheduler, "running after a retry", |view| view.state == ModelState::Running);
}
