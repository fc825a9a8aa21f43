//! Requests that the engine refuses, on a real model.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use divvy::engine::{Engines, NamedTensor, Tensor, TensorData};
use divvy::layout::{Budget, EngineChoice, ModelSource};
use divvy::machine::SimulatedMachine;
use divvy::pool::Request;
use divvy::scheduler::{Control, EngineLoader, Options, Scheduler};
use divvy::telemetry::ModelState;

use super::test_scheduler::*;

fn token(id: i64) -> Arc<Vec<NamedTensor>> {
    let tensor = Tensor::new(vec![1, 1], TensorData::I64(vec![id])).unwrap();
    Arc::new(vec![NamedTensor { name: "tokens".to_owned(), tensor }])
}

#[test]
fn bad_token_id_raises_no_alert() {
    let loader = EngineLoader::new(Arc::new(Engines::new(EngineChoice::Rten, None)));
    let options = Options::new(Arc::new(SimulatedMachine::uniform(1)), Arc::new(loader));
    let source = ModelSource::Embedded("embedder.onnx".to_owned());
    let budget = Budget { source, ..row("m", "0") };
    let scheduler = Scheduler::start(&layout(vec![budget]), options).unwrap();
    let sender = scheduler.client("m").unwrap().sender();
    let answers = Arc::new(Answers::default());
    for id in [1, 1_000_000, 2, 1_000_000] {
        let noting = answers.clone();
        answers.asked.fetch_add(1, Ordering::SeqCst);
        let reply = Box::new(move |outcome| noting.note(&outcome));
        sender.submit(Request::new(token(id), reply));
    }
    let start = Instant::now();
    loop {
        let snapshot = scheduler.snapshots().borrow().clone();
        let view = snapshot.model("m");
        if view.is_some_and(|view| view.counts.failed == 2 && view.counts.completed == 2) {
            assert_eq!(view.map(|view| &view.state), Some(&ModelState::Running));
            assert!(snapshot.alerts.is_empty(), "{:?}", snapshot.alerts);
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{answers:?}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
