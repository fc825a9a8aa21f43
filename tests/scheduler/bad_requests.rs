//! Requests that the engine refuses, on a real model.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use divvy::engine::{Engines, NamedTensor, Tensor, TensorData};
use divvy::layout::{Budget, EngineChoice, ModelSource};
use divvy::machine::{SimulatedMachine, ThreadId};
use divvy::pool::{Outcome, Request, RequestError};
use divvy::scheduler::{Control, EngineLoader, Options, Scheduler};
use divvy::telemetry::{ModelView, Snapshot};

use super::test_scheduler::*;

/// A token id that the embedder's table does not have.
const BAD: i64 = 1_000_000;

fn token(id: i64) -> Arc<Vec<NamedTensor>> {
    let tensor = Tensor::new(vec![1, 1], TensorData::I64(vec![id])).unwrap();
    Arc::new(vec![NamedTensor { name: "tokens".to_owned(), tensor }])
}

/// Starts the embedder on rten.
fn start() -> Scheduler {
    let loader = EngineLoader::new(Arc::new(Engines::new(EngineChoice::Rten, None)));
    let mut options = Options::new(Arc::new(SimulatedMachine::uniform(1)), Arc::new(loader));
    options.interval = Duration::from_millis(50);
    let source = ModelSource::Embedded("embedder.onnx".to_owned());
    let budget = Budget { source: source.into(), ..row("m", "0") };
    Scheduler::start(&layout(vec![budget]), options).unwrap()
}

/// Waits for a snapshot in which `done` holds.
fn until(scheduler: &Scheduler, done: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let start = Instant::now();
    loop {
        let snapshot = scheduler.snapshots().borrow().clone();
        if done(&snapshot) {
            return snapshot;
        }
        assert!(start.elapsed() < PATIENCE, "{:?}", snapshot.models);
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends requests, waits until all are answered, and returns their errors.
fn errors(scheduler: &Scheduler, ids: &[i64]) -> Vec<RequestError> {
    let sender = scheduler.client("m").unwrap().sender();
    let errors = Arc::new(Mutex::new(Vec::new()));
    for id in ids {
        let kept = errors.clone();
        let reply = Box::new(move |outcome: Outcome| {
            kept.lock().unwrap().extend(outcome.result.err());
        });
        sender.submit(Request::new(token(*id), reply));
    }
    let answered = |view: &ModelView| (view.counts.completed + view.counts.failed) as usize;
    until(scheduler, |snapshot| snapshot.model("m").map(answered) == Some(ids.len()));
    std::mem::take(&mut *errors.lock().unwrap())
}

fn threads(snapshot: &Snapshot) -> Vec<ThreadId> {
    let threads = snapshot.model("m").map(|view| view.actual.threads.clone()).unwrap_or_default();
    threads.iter().map(|thread| thread.id).collect()
}

#[test]
fn bad_token_id_is_an_invalid_request() {
    let errors = errors(&start(), &[1, BAD, 2, BAD, 3]);
    assert_eq!(errors.len(), 2);
    assert!(errors.iter().all(|error| matches!(error, RequestError::Invalid(_))), "{errors:?}");
}

#[test]
fn bad_token_id_replaces_no_instance() {
    let scheduler = start();
    let before = until(&scheduler, |snapshot| !threads(snapshot).is_empty());
    errors(&scheduler, &[1, BAD, 2, BAD, 3]);
    // Its successor would have answered the last request, on other threads.
    let seen = scheduler.snapshots().borrow().sequence;
    let after = until(&scheduler, |snapshot| snapshot.sequence > seen);
    assert_eq!(threads(&after), threads(&before));
}
