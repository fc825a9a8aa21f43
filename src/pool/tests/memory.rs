//! A model under a memory budget: over scripted instances that say what they hold.

use std::sync::atomic::Ordering;
use std::sync::mpsc;

use super::*;
use crate::engine::synthetic::{Script, SyntheticModel};
use crate::engine::{EngineError, Tensor, TensorData};
use crate::pool::limited_runs::RunVerdict;
use crate::pool::memory::{MemoryLimit, Running, Start};

const KIB: u64 = 1024;

/// Returns a request of this many bytes that only the pool holds.
fn request(bytes: usize) -> Arc<Vec<NamedTensor>> {
    let tensor = Tensor::new(vec![bytes], TensorData::U8(vec![0; bytes])).unwrap();
    Arc::new(vec![NamedTensor { name: "x".to_owned(), tensor }])
}

fn limited(kib: u64, weights_kib: u64) -> TestPool {
    let rig = rig(QueuePolicy { limit: 1000, ..QueuePolicy::default() });
    rig.script.weights.store(weights_kib * KIB, Ordering::SeqCst);
    rig.pool.set_memory(Some(kib * KIB));
    rig
}

fn reasons(outcomes: &mpsc::Receiver<Outcome>, count: usize) -> Vec<String> {
    let answer = |_| match outcomes.recv_timeout(PATIENCE).unwrap().result {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.to_string(),
    };
    (0..count).map(answer).collect()
}

/// Starts a request of a model that runs no other that it has to wait for.
fn start<'a>(
    limit: &'a MemoryLimit,
    model: &SyntheticModel,
    inputs: &[NamedTensor],
) -> Result<Running<'a>, EngineError> {
    match limit.start(model, inputs)? {
        Start::Now(running) => Ok(running),
        Start::Later => panic!("it has to wait"),
        Start::Alone => panic!("it has to run alone"),
    }
}

#[test]
fn waiting_bytes_count_towards_the_budget() {
    let rig = limited(100, 60);
    rig.pool.memory();
    let outcomes = rig.submit_each((0..5).map(|_| request(10 * KIB as usize)));
    let counts = rig.pool.counts();
    assert_eq!((counts.queued, counts.rejected), (4, 1), "4 x 10 KiB beside 60 KiB of weights");
    assert!(counts.balanced());
    assert_eq!(rig.pool.memory().requests, 40 * KIB);
    assert!(reasons(&outcomes, 1)[0].contains("memory budget"));
    rig.serve(1, ONE);
    assert_eq!(reasons(&outcomes, 4), vec!["ok"; 4]);
    assert_eq!(rig.pool.memory().requests, 0, "answered requests are off the books");
    let outcomes = rig.submit_each([request(40 * KIB as usize)]);
    assert_eq!(reasons(&outcomes, 1), ["ok"]);
}

#[test]
fn inputs_held_by_the_caller_are_not_charged() {
    let rig = limited(100, 60);
    let kept = request(30 * KIB as usize);
    let _outcomes = rig.submit_each((0..5).map(|_| kept.clone()));
    assert_eq!(rig.pool.counts().queued, 5);
    assert_eq!(rig.pool.memory().requests, 0);
}

#[test]
fn rejected_requests_release_their_charge() {
    let rig = limited(1000, 0);
    let outcomes = rig.submit_each((0..3).map(|_| request(5000)));
    let pending = rig.pool.client().submit(request(7000));
    assert_eq!(rig.pool.memory().requests, 22_000);
    drop(pending);
    assert_eq!(rig.pool.memory().requests, 15_000);
    rig.pool.refuse(Some(Rejection::ModelFailed));
    assert_eq!(reasons(&outcomes, 3), vec!["rejected: the model failed; its state says why"; 3]);
    assert_eq!(rig.pool.memory().requests, 0);
    assert!(rig.pool.counts().balanced());
}

#[test]
fn oversized_request_fails_without_a_second_run() {
    let rig = limited(100, 50);
    rig.script.arena_per_byte.store(10, Ordering::SeqCst);
    rig.serve(1, ONE);
    let small = || request(KIB as usize);
    let large = || request(8 * KIB as usize);
    let answers = |request| reasons(&rig.submit_each([request]), 1).remove(0);
    assert_eq!(answers(small()), "ok");
    let (built, runs) = (rig.built(), rig.runs());
    let words = answers(large());
    assert!(words.contains("memory budget") && words.contains("took the model to"), "{words}");
    assert_eq!(rig.runs(), runs + 1, "known only once it ran");
    assert_eq!(rig.script.shrunk.load(Ordering::SeqCst), 0, "its caller does not wait for that");
    let words = answers(large());
    assert!(words.contains("is not run"), "{words}");
    assert_eq!(rig.runs(), runs + 1, "now it is known before");
    assert_eq!(rig.script.shrunk.load(Ordering::SeqCst), 0, "not for a refusal");
    for _ in 0..3 {
        assert_eq!(answers(small()), "ok");
    }
    assert_eq!(rig.script.shrunk.load(Ordering::SeqCst), 1, "once, for the first that needed room");
    assert_eq!(rig.pool.memory().over, None);
    assert_eq!(rig.built(), built, "the instance is not to blame");
    let counts = rig.pool.counts();
    assert_eq!((counts.completed, counts.failed), (4, 2));
    rig.pool.set_memory(Some(1000 * KIB));
    assert_eq!(answers(large()), "ok", "more memory is a new try");
}

#[test]
fn lower_budget_applies_at_once() {
    let rig = limited(1000, 50);
    rig.script.arena_per_byte.store(10, Ordering::SeqCst);
    rig.serve(1, ONE);
    assert_eq!(reasons(&rig.submit_each([request(8 * KIB as usize)]), 1), ["ok"]);
    assert_eq!(rig.pool.memory().engine.arena, Some(80 * KIB));
    assert!(!rig.pool.shrink(), "nothing is above");
    rig.pool.set_memory(Some(60 * KIB));
    assert!(rig.pool.memory().over.is_some());
    rig.until("the worker to be idle", |pool| pool.counts().executing == 0);
    assert!(rig.pool.shrink());
    rig.until("the arena to shrink", |pool| pool.memory().over.is_none());
    assert_eq!(rig.script.shrunk.load(Ordering::SeqCst), 1);
    rig.pool.set_memory(Some(40 * KIB));
    let over = rig.pool.memory().over.unwrap();
    assert!(over.contains("weights 50.0 KiB in 1 copy") && over.contains("40KiB"), "{over}");
    let answer = reasons(&rig.submit_each([request(10)]), 1).remove(0);
    assert!(answer.starts_with("rejected: memory budget"), "{answer}");
    rig.pool.set_memory(None);
    assert_eq!(rig.pool.memory().over, None);
    assert_eq!(reasons(&rig.submit_each([request(10)]), 1), ["ok"]);
}

#[test]
fn instance_over_the_budget_fails_to_build() {
    let rig = limited(40, 50);
    let PoolEvent::BuildFailed { reason, .. } = rig.serve(1, ONE) else { panic!("it was built") };
    assert!(reason.contains("memory budget") && reason.contains("50.0 KiB"), "{reason}");
    assert_eq!(rig.pool.seats().serving, 0);
}

#[test]
fn small_request_survives_a_large_one() {
    let script = Arc::new(Script::default());
    let model = SyntheticModel::new(script.clone());
    let limit = MemoryLimit::new();
    limit.set_limit(Some(100 * KIB));
    let (small, large) = (request(KIB as usize), request(8 * KIB as usize));
    let start = |inputs: &[NamedTensor]| start(&limit, &model, inputs);
    let (first, second) = (start(&small).unwrap(), start(&large).unwrap());
    // both requests use one engine, which now holds the large one's memory
    script.arena.store(200 * KIB, Ordering::SeqCst);
    limit.ran(&first, &model).unwrap();
    drop(first);
    assert_eq!(limit.ran(&second, &model).unwrap(), RunVerdict::RunAlone);
    drop(second);
    limit.shrink(&model, Some(&[]));
    // it did not run alone, so its size is not refused yet
    let again = start(&large).unwrap();
    script.arena.store(200 * KIB, Ordering::SeqCst);
    limit.ran(&again, &model).unwrap_err();
    drop(again);
    limit.shrink(&model, Some(&[]));
    let Err(error) = start(&large) else { panic!("it ran alone and passed the budget") };
    assert!(error.to_string().contains("is not run"), "{error}");
    let fits = start(&small).unwrap();
    limit.ran(&fits, &model).unwrap();
}

/// Runs two requests at once that take 200 KiB, and checks that both must run alone.
fn crowd(limit: &MemoryLimit, script: &Arc<Script>) {
    let model = SyntheticModel::new(script.clone());
    let one = request(KIB as usize);
    let start = || start(limit, &model, &one).unwrap();
    let (first, second) = (start(), start());
    script.arena.store(200 * KIB, Ordering::SeqCst);
    assert_eq!(limit.ran(&first, &model).unwrap(), RunVerdict::RunAlone);
    assert_eq!(limit.ran(&second, &model).unwrap(), RunVerdict::RunAlone);
    drop((first, second));
    limit.shrink(&model, Some(&[]));
}

#[test]
fn requests_over_budget_together_all_complete() {
    let rig = limited(100, 0);
    rig.serve(4, ONE);
    let script = rig.script.clone();
    script.run_blocked.store(true, Ordering::SeqCst);
    let outcomes = rig.submit_each((0..4).map(|_| request(KIB as usize)));
    rig.until("four to run", |_| script.take_most_running() == 4);
    script.arena.store(200 * KIB, Ordering::SeqCst);
    script.run_blocked.store(false, Ordering::SeqCst);
    assert_eq!(reasons(&outcomes, 4), vec!["ok"; 4]);
    let counts = rig.pool.counts();
    assert_eq!((counts.completed, counts.failed), (4, 0));
}

#[test]
fn small_requests_run_beside_one_of_a_crowd() {
    let (limit, script) = (MemoryLimit::new(), Arc::new(Script::default()));
    limit.set_limit(Some(100 * KIB));
    crowd(&limit, &script);
    let model = SyntheticModel::new(script);
    let _large = start(&limit, &model, &request(KIB as usize)).unwrap();
    assert!(start(&limit, &model, &request(10)).is_ok());
    assert!(!limit.may_start(KIB), "its like waits");
    limit.set_limit(Some(1000 * KIB));
    assert!(limit.may_start(KIB), "a raised limit lets them run together");
}

#[test]
fn arrivals_wait_for_requests_over_the_budget() {
    let rig = limited(100, 0);
    rig.serve(2, ONE);
    let script = rig.script.clone();
    script.run_blocked.store(true, Ordering::SeqCst);
    let running = rig.submit_each((0..2).map(|_| request(KIB as usize)));
    rig.until("two to run", |_| script.take_most_running() == 2);
    script.arena.store(200 * KIB, Ordering::SeqCst);
    assert!(rig.pool.memory().over.is_some());
    let arrived = rig.submit_each((0..3).map(|_| request(KIB as usize)));
    assert_eq!(rig.pool.counts().queued, 3, "each fits alone");
    let refused = rig.submit_each([request(98 * KIB as usize)]);
    assert!(reasons(&refused, 1)[0].contains("memory budget"), "no room beside the waiting ones");
    script.run_blocked.store(false, Ordering::SeqCst);
    assert_eq!(reasons(&running, 2), vec!["ok"; 2]);
    assert_eq!(reasons(&arrived, 3), vec!["ok"; 3]);
}

/// A pool of two instances in which a request of 1 KiB runs until `run_blocked` ends; its like wait for it.
fn with_a_long_run() -> (TestPool, mpsc::Receiver<Outcome>) {
    let rig = limited(100, 0);
    rig.serve(2, ONE);
    crowd(&rig.pool.inner.memory, &rig.script);
    rig.script.run_blocked_from.store(KIB as usize, Ordering::SeqCst);
    rig.script.run_blocked.store(true, Ordering::SeqCst);
    // that of the trial requests
    rig.script.take_most_running();
    let long = rig.submit_each([request(KIB as usize)]);
    rig.until("it runs", |_| rig.script.take_most_running() == 1);
    (rig, long)
}

#[test]
fn small_request_passes_a_waiting_one() {
    let (rig, long) = with_a_long_run();
    let waiting = rig.submit_each([request(KIB as usize)]);
    let small = rig.submit_each((0..3).map(|_| request(10)));
    assert_eq!(reasons(&small, 3), vec!["ok"; 3]);
    rig.until("one waits", |pool| pool.inner.gate.held() == 1);
    rig.script.run_blocked.store(false, Ordering::SeqCst);
    assert_eq!(reasons(&long, 1), ["ok"]);
    assert_eq!(reasons(&waiting, 1), ["ok"]);
}

#[test]
fn others_pass_one_that_waits_to_run_alone() {
    let (rig, long) = with_a_long_run();
    rig.script.arena.store(200 * KIB, Ordering::SeqCst);
    assert!(rig.pool.memory().over.is_some());
    let alone = rig.submit_each([request(10)]);
    rig.until("it waits", |pool| pool.inner.gate.held() == 1);
    rig.script.arena.store(0, Ordering::SeqCst);
    let small = rig.submit_each((0..3).map(|_| request(10)));
    assert_eq!(reasons(&small, 3), vec!["ok"; 3]);
    assert!(alone.try_recv().is_err(), "another still runs");
    rig.script.run_blocked.store(false, Ordering::SeqCst);
    assert_eq!(reasons(&long, 1), ["ok"]);
    assert_eq!(reasons(&alone, 1), ["ok"]);
}

#[test]
fn waiting_requests_end_like_queued_ones() {
    let (rig, long) = with_a_long_run();
    let (sender, outcomes) = mpsc::channel();
    let submit = |options| {
        let sender = sender.clone();
        let reply = Box::new(move |outcome: Outcome| drop(sender.send(outcome.result)));
        let request = Request::new(request(KIB as usize), reply).with_options(options);
        rig.pool.sender().submit(request).unwrap()
    };
    let in_order = || outcomes.recv_timeout(PATIENCE).unwrap().unwrap_err();
    let late = RequestOptions { deadline: Some(Instant::now() + PATIENCE), ..Default::default() };
    let cancelled = submit(RequestOptions::default());
    submit(late);
    let dropped = rig.pool.client().submit(request(KIB as usize));
    submit(RequestOptions::default());
    rig.until("all wait", |pool| pool.inner.gate.held() == 4);
    assert_eq!((rig.pool.counts().queued, rig.pool.counts().executing), (4, 1));
    assert!(rig.pool.sender().cancel(cancelled));
    assert!(matches!(in_order(), RequestError::Cancelled));
    drop(dropped);
    rig.until("two wait", |pool| pool.counts().queued == 2);
    let late = rig.pool.inner.gate.expire(crate::pool::gate::Present {
        running: Instant::now(),
        callers: Instant::now() + 2 * PATIENCE,
    });
    assert_eq!(late.len(), 1);
    rig.pool.refuse(Some(Rejection::ModelFailed));
    assert!(matches!(in_order(), RequestError::Rejected { .. }));
    rig.script.run_blocked.store(false, Ordering::SeqCst);
    assert_eq!(reasons(&long, 1), ["ok"]);
    let counts = rig.pool.counts();
    assert!(counts.balanced());
    let ended = (counts.completed, counts.cancelled, counts.timed_out, counts.rejected);
    assert_eq!(ended, (1, 2, 1, 1));
}

#[test]
fn waiting_requests_are_answered_by_a_drain() {
    let (rig, long) = with_a_long_run();
    let waiting = rig.submit_each((0..3).map(|_| request(KIB as usize)));
    rig.until("all wait", |pool| pool.inner.gate.held() == 3);
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| rig.pool.drain(PATIENCE));
        rig.script.run_blocked.store(false, Ordering::SeqCst);
        assert!(drain.join().unwrap());
    });
    assert_eq!(reasons(&long, 1), ["ok"]);
    assert_eq!(reasons(&waiting, 3), vec!["ok"; 3]);
}

#[test]
fn raised_limit_starts_waiting_requests() {
    let (rig, _long) = with_a_long_run();
    let _waiting = rig.submit_each([request(KIB as usize)]);
    rig.until("it waits", |pool| pool.inner.gate.held() == 1);
    rig.pool.set_memory(Some(1000 * KIB));
    rig.until("both run", |_| rig.script.take_most_running() == 2);
    rig.script.run_blocked.store(false, Ordering::SeqCst);
}

#[test]
fn requests_at_once_stay_within_the_budget() {
    let limit = MemoryLimit::new();
    limit.set_limit(Some(100 * KIB));
    let admitted: Vec<_> = std::thread::scope(|scope| {
        let admit = || {
            let one = request(KIB as usize);
            (0..1000).filter_map(|_| limit.admit(&one).ok()).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(admit)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!((admitted.len(), limit.requests()), (100, 100 * KIB));
    drop(admitted);
    assert_eq!(limit.requests(), 0);
}

#[test]
fn shared_inputs_need_no_charge() {
    let limit = MemoryLimit::new();
    let (own, kept) = (request(10), request(10));
    let _second = kept.clone();
    assert!(limit.admit(&kept).unwrap().is_none());
    assert!(limit.admit(&own).unwrap().is_some());
}

#[test]
fn refusals_do_not_ask_the_engine() {
    let rig = limited(40, 50);
    rig.pool.memory();
    let reports = rig.script.reports.load(Ordering::SeqCst);
    let outcomes = rig.submit_each((0..100).map(|_| request(10)));
    assert!(reasons(&outcomes, 100).iter().all(|reason| reason.contains("memory budget")));
    assert_eq!(rig.script.reports.load(Ordering::SeqCst), reports);
}

#[test]
fn idle_model_shrinks_on_one_thread() {
    let rig = limited(1000, 50);
    rig.script.arena.store(80 * KIB, Ordering::SeqCst);
    rig.script.shrink_blocked.store(true, Ordering::SeqCst);
    rig.pool.set_memory(Some(60 * KIB));
    rig.pool.memory();
    let started = (0..100).filter(|_| rig.pool.shrink()).count();
    assert_eq!(started, 1);
    rig.script.shrink_blocked.store(false, Ordering::SeqCst);
    rig.until("the arena to shrink", |pool| pool.memory().over.is_none());
}

#[test]
fn shrinking_ends_when_it_cannot_help() {
    let rig = limited(1000, 50);
    rig.script.arena.store(80 * KIB, Ordering::SeqCst);
    rig.script.arena_kept.store(70 * KIB, Ordering::SeqCst);
    rig.pool.set_memory(Some(60 * KIB));
    rig.pool.memory();
    assert!(rig.pool.shrink());
    rig.until("it to end", |pool| !pool.inner.memory.wants_to_shrink());
    // requests of the moment make the figure vary
    rig.script.arena.store(71 * KIB, Ordering::SeqCst);
    assert!(rig.pool.memory().over.is_some());
    assert!(!rig.pool.shrink());
    let answer = reasons(&rig.submit_each([request(10)]), 1).remove(0);
    assert!(answer.starts_with("rejected: memory budget"), "known on arrival: {answer}");
}
