//! End-to-end tests of outputs that callers hold: they are in flight, and charged to no model. On both
//! engines; ONNX Runtime is left out if it is not found.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use divvy::engine::onnxruntime::OnnxRuntime;
use divvy::engine::rten::Rten;
use divvy::engine::{Engine, EngineMemory, InstanceSetup, NamedTensor, Tensor, TensorData};
use divvy::layout::{ModelSource, QueuePolicy};
use divvy::machine::allocation::{CountingAllocator, output_bytes};
use divvy::machine::this_machine;
use divvy::pool::{Outcome, Pool, PoolEvent, tensor_bytes};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const PATIENCE: Duration = Duration::from_mins(1);

/// Requests whose outputs the caller keeps.
const HELD: usize = 100;

fn engines() -> Vec<Box<dyn Engine>> {
    let mut engines: Vec<Box<dyn Engine>> = vec![Box::new(Rten::default())];
    match OnnxRuntime::find(None) {
        Ok(engine) => engines.push(Box::new(engine)),
        Err(error) if std::env::var_os("DIVVY_REQUIRE_ORT").is_some() => panic!("{error}"),
        Err(error) => eprintln!("ONNX Runtime is left out: {error}"),
    }
    engines
}

/// Returns inputs of the ranker. Its output of 2 KiB is small beside its activations of 256 KiB.
fn features() -> Arc<Vec<NamedTensor>> {
    let data = TensorData::F32(vec![0.5; 512 * 128]);
    let tensor = Tensor::new(vec![1, 512, 128], data).unwrap();
    Arc::new(vec![NamedTensor { name: "features".to_owned(), tensor }])
}

/// A pool of one instance of the ranker.
fn ranker(engine: &dyn Engine) -> Pool {
    let machine = this_machine(None).unwrap();
    let cores = machine.describe().limits.allowed;
    let (sender, events) = mpsc::channel();
    let listener = Box::new(move |event| drop(sender.send(event)));
    let queue = QueuePolicy { limit: 1000, ..QueuePolicy::default() };
    let pool = Pool::new("ranker", machine, queue, cores, listener);
    let model = engine.load(&ModelSource::Embedded("ranker.onnx".to_owned())).unwrap();
    pool.install(model, features());
    pool.ensure(1, InstanceSetup::cpu(1));
    pool.set_bound(1);
    while !matches!(events.recv_timeout(PATIENCE).unwrap(), PoolEvent::Built(_)) {}
    pool
}

/// Runs requests one by one and returns their outputs.
fn run(pool: &Pool, requests: usize) -> Vec<Vec<NamedTensor>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (client, inputs) = (pool.client(), features());
    let one = |_| -> Outcome { runtime.block_on(client.infer(inputs.clone())) };
    (0..requests).map(one).map(|outcome| outcome.result.unwrap()).collect()
}

fn memory(pool: &Pool) -> EngineMemory {
    pool.memory().engine
}

#[test]
fn held_outputs_are_in_flight() {
    for engine in engines() {
        let pool = ranker(&*engine);
        drop(run(&pool, 10));
        assert_eq!(memory(&pool).in_flight, Some(0), "{}", engine.title());
        let held = run(&pool, HELD);
        let bytes: u64 = held.iter().map(|outputs| tensor_bytes(outputs)).sum();
        let in_flight = memory(&pool).in_flight.unwrap();
        assert!((bytes..bytes * 2).contains(&in_flight), "{}: {in_flight}", engine.title());
        drop(held);
        assert_eq!(memory(&pool).in_flight, Some(0), "{}", engine.title());
    }
}

#[test]
fn held_outputs_are_not_charged_to_the_model() {
    for engine in engines() {
        let pool = ranker(&*engine);
        drop(run(&pool, 10));
        let before = memory(&pool).total();
        let held = run(&pool, HELD);
        // The instance may not have left its last run yet.
        let start = Instant::now();
        while memory(&pool).total() > before + HELD as u64 {
            let held_by_model = memory(&pool).total() - before;
            assert!(start.elapsed() < PATIENCE, "{}: {held_by_model} more", engine.title());
            std::thread::sleep(Duration::from_millis(2));
        }
        drop(held);
    }
}

#[test]
fn outputs_of_a_removed_model_are_in_flight() {
    for engine in engines() {
        let pool = ranker(&*engine);
        let held = run(&pool, 1);
        pool.drain(PATIENCE);
        drop(pool);
        let title = engine.title();
        drop(engine);
        // Other tests may hold some too.
        assert!(output_bytes() >= tensor_bytes(held.first().unwrap()), "{title}");
    }
}
