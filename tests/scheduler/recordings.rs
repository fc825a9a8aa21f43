//! Live requests are recorded, and the built-in load replays them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use divvy::engine::{Engines, NamedTensor, Tensor, TensorData};
use divvy::layout::{Budget, Edit, EngineChoice, LoadSpec, ModelSource, ReplayOrder};
use divvy::load::LoadFollower;
use divvy::machine::SimulatedMachine;
use divvy::pool::{Outcome, RecordingOptions, Request};
use divvy::scheduler::{Control, EngineLoader, Options, Scheduler};
use divvy::telemetry::Author;

use super::test_scheduler::*;

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn recording_goes_on_after_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let (file, copy) = (folder.path().join("live.npz"), folder.path().join("copy.onnx"));
    std::fs::copy("assets/models/embedder.onnx", &copy).unwrap();
    let live = start(None);
    let client = live.client("m").unwrap();
    let before = client.current().unwrap();
    let recording = before.record(RecordingOptions { file, requests: 9 }).unwrap();
    send(&live, 1);
    let budget =
        Budget { source: ModelSource::File(copy).into(), ..live.layout().models.remove(0) };
    let edit = Edit::SetRow { budget: Box::new(budget), base: None };
    live.apply(edit.into(), Author::Api).unwrap();
    wait_for("the new file", || !client.current().unwrap().is_same_pool(&before));
    send(&live, 2);
    assert_eq!(recording.stop().unwrap().requests, 2);
}

/// Starts the embedder on rten, with or without a load, and waits until it serves.
fn start(load: Option<LoadSpec>) -> Scheduler {
    let loader = EngineLoader::new(Arc::new(Engines::new(EngineChoice::Rten, None)));
    let mut options = Options::new(Arc::new(SimulatedMachine::uniform(1)), Arc::new(loader));
    options.interval = Duration::from_millis(50);
    let source = ModelSource::Embedded("embedder.onnx".to_owned());
    let budget = Budget { source: source.into(), load, ..row("m", "0") };
    let scheduler = Scheduler::start(&layout(vec![budget]), options).unwrap();
    wait_for("the model", || {
        let snapshot = scheduler.snapshots().borrow().clone();
        snapshot.model("m").is_some_and(|view| view.actual.active == 1)
    });
    scheduler
}

fn send(scheduler: &Scheduler, id: i64) {
    let tensor = Tensor::new(vec![1, 1], TensorData::I64(vec![id])).unwrap();
    let inputs = Arc::new(vec![NamedTensor { name: "tokens".to_owned(), tensor }]);
    let (sender, answer) = std::sync::mpsc::channel();
    let reply = Box::new(move |outcome: Outcome| {
        let _ = sender.send(outcome.result.is_ok());
    });
    scheduler.client("m").unwrap().sender().submit(Request::new(inputs, reply));
    assert!(answer.recv_timeout(PATIENCE).unwrap());
}

#[test]
fn recorded_requests_are_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("live.npz");
    let live = start(None);
    let client = live.client("m").unwrap().current().unwrap();
    let options = RecordingOptions { file: file.clone(), requests: 3 };
    let recording = client.record(options).unwrap();
    for id in 1..=5 {
        send(&live, id);
    }
    assert_eq!(recording.stop().unwrap().requests, 3);
    let (order, carry) = (ReplayOrder::Recorded, BTreeMap::new());
    let replay = start(Some(LoadSpec::Replay { file, order, rate: Some(500.0), carry }));
    let load = LoadFollower::start(replay.loads()).unwrap();
    wait_for("replayed requests", || {
        let snapshot = replay.snapshots().borrow().clone();
        snapshot.model("m").is_some_and(|view| view.counts.completed > 6)
    });
    load.stop(PATIENCE);
    let counts = replay.snapshots().borrow().model("m").unwrap().counts;
    assert_eq!((counts.failed, counts.rejected), (0, 0), "{counts:?}");
}
