//! Tests of requests that fail: what they cost the instances, and deadlines.

use super::*;
use crate::engine::rten::Rten;
use crate::engine::{Engine, Tensor, TensorData};
use crate::layout::ModelSource;

/// The inputs of a request that fails while the script's `inputs_fail` is set.
fn wrong() -> Arc<Vec<NamedTensor>> {
    let tensor = Tensor::new(vec![1], TensorData::I64(vec![1_000_000])).unwrap();
    Arc::new(vec![NamedTensor { name: "tokens".into(), tensor }])
}

#[test]
fn wrong_requests_rebuild_no_instance() {
    let rig = rig(QueuePolicy { limit: 1000, ..QueuePolicy::default() });
    rig.script.inputs_fail.store(true, Ordering::SeqCst);
    rig.serve(1, ONE);
    let mixed = (0..200).map(|at| if at % 2 == 0 { wrong() } else { Arc::default() });
    let outcomes = rig.submit_each(mixed);
    assert_eq!(kinds(&outcomes), HashMap::from([("failed", 100), ("completed", 100)]));
    assert_eq!((rig.built(), rig.pool.seats().serving), (1, 1));
    assert_eq!((rig.pool.counts().failed, rig.pool.seats().repairing), (100, 0));
}

fn tokens(id: i64) -> Arc<Vec<NamedTensor>> {
    let tensor = Tensor::new(vec![1, 1], TensorData::I64(vec![id])).unwrap();
    Arc::new(vec![NamedTensor { name: "tokens".into(), tensor }])
}

#[test]
fn bad_token_ids_cost_no_instance() {
    let rig = rig(QueuePolicy { limit: 1000, ..QueuePolicy::default() });
    let source = ModelSource::Embedded("embedder.onnx".to_owned());
    rig.pool.install(Rten::default().load(&source).unwrap(), tokens(1));
    rig.serve(1, ONE);
    let threads = rig.pool.members();
    let mixed = (0..40).map(|at| tokens(if at % 2 == 0 { 1_000_000 } else { at }));
    let outcomes = rig.submit_each(mixed);
    assert_eq!(kinds(&outcomes), HashMap::from([("invalid", 20), ("completed", 20)]));
    assert_eq!((rig.pool.counts().failed, rig.pool.seats().repairing), (20, 0));
    assert_eq!(rig.pool.members(), threads, "no instance was replaced");
}

#[test]
fn failing_trial_replaces_the_instance() {
    let rig = rig(QueuePolicy::default());
    rig.serve(1, ONE);
    rig.script.fail_every.store(1, Ordering::SeqCst);
    assert_eq!(kinds(&rig.submit(1)), HashMap::from([("failed", 1)]));
    rig.script.fail_every.store(0, Ordering::SeqCst);
    rig.until("it is replaced", |pool| rig.built() >= 2 && pool.seats().serving == 1);
    assert_eq!(kinds(&rig.submit(3)), HashMap::from([("completed", 3)]));
}

fn by(deadline: Instant) -> RequestOptions {
    RequestOptions { deadline: Some(deadline), ..RequestOptions::default() }
}

#[test]
fn past_deadline_times_out_without_a_run() {
    let rig = rig(QueuePolicy::default());
    rig.serve(1, ONE);
    let runs = rig.runs();
    let (sender, outcomes) = mpsc::channel();
    let reply = Box::new(move |outcome| drop(sender.send(outcome)));
    let request = Request::new(Arc::default(), reply).with_options(by(Instant::now()));
    rig.pool.sender().submit(request);
    assert_eq!(kinds(&outcomes), HashMap::from([("timed out", 1)]));
    assert_eq!((rig.runs(), rig.pool.counts().timed_out), (runs, 1));
}

#[test]
fn future_deadline_lets_it_run() {
    let rig = rig(QueuePolicy::default());
    rig.serve(1, ONE);
    let client = rig.pool.client();
    let pending = client.submit_with(Arc::default(), by(Instant::now() + PATIENCE));
    rig.until("it ends", |pool| pool.counts().completed == 1);
    drop(pending);
}

#[test]
fn full_queue_of_a_paused_model_says_paused() {
    let rig = rig(QueuePolicy { limit: 1, ..QueuePolicy::default() });
    let outcomes = rig.submit(2);
    let outcome = outcomes.recv_timeout(PATIENCE).unwrap();
    let paused = RequestError::Rejected { reason: Rejection::Paused };
    assert_eq!(outcome.result.unwrap_err().to_string(), paused.to_string());
}

#[test]
fn request_goes_on_to_the_next_pool() {
    let (old, new) = (rig(QueuePolicy::default()), rig(QueuePolicy::default()));
    new.serve(1, ONE);
    old.pool.drain(Duration::ZERO);
    let found = std::cell::Cell::new(0);
    let find = || {
        found.set(found.get() + 1);
        Some(if found.get() == 1 { old.pool.client() } else { new.pool.client() })
    };
    let (sender, outcomes) = mpsc::channel();
    let reply = Box::new(move |outcome| drop(sender.send(outcome)));
    assert!(Client::send_to(find, Request::new(Arc::default(), reply)).is_some());
    assert_eq!(kinds(&outcomes), HashMap::from([("completed", 1)]));
    assert_eq!(found.get(), 2);
}

#[test]
fn removed_pool_without_a_successor_rejects() {
    let rig = rig(QueuePolicy::default());
    rig.pool.drain(Duration::ZERO);
    let (sender, outcomes) = mpsc::channel();
    let reply = Box::new(move |outcome| drop(sender.send(outcome)));
    let find = || Some(rig.pool.client());
    assert!(Client::send_to(find, Request::new(Arc::default(), reply)).is_none());
    assert_eq!(kinds(&outcomes), HashMap::from([("rejected", 1)]));
}

#[test]
fn a_pool_ignores_another_pools_request_id() {
    let (one, other) = (rig(QueuePolicy::default()), rig(QueuePolicy::default()));
    let request = || Request::new(Arc::default(), Box::new(|_| {}));
    let id = one.pool.sender().submit(request()).unwrap();
    other.pool.sender().submit(request()).unwrap();
    assert!(!other.pool.sender().cancel(id));
    assert!(one.pool.sender().cancel(id));
    assert_eq!((one.pool.counts().cancelled, other.pool.counts().cancelled), (1, 0));
}
