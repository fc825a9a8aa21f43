//! Tests of the pool with scripted instances and a fake machine that records masks.

mod builders;
mod drain;
mod failures;
mod generations;
mod input_check;
mod memory;
mod order;
mod places;
mod recording;
mod replies;
mod trial;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::builds::thread_name;
use super::*;
use crate::engine::synthetic::{Script, SyntheticModel};
use crate::engine::{InstanceSetup, NamedTensor};
use crate::layout::{Overflow, QueuePolicy};
use crate::machine::{AffinityError, CoreTimes, Description, MemoryUse, ThreadId, ThreadTimes};
use crate::machine::{CpuSet, Machine};

/// A machine that records the masks it is given and always reports success.
#[derive(Default)]
struct FakeMachine {
    masks: Mutex<HashMap<ThreadId, CpuSet>>,
    /// Called once, before the next mask is recorded.
    before_next: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Machine for FakeMachine {
    fn describe(&self) -> Description {
        Description::uniform(8)
    }
    fn set_affinity(&self, thread: ThreadId, cores: &CpuSet) -> Result<(), AffinityError> {
        let before = self.before_next.lock().unwrap().take();
        if let Some(before) = before {
            before();
        }
        self.masks.lock().unwrap().insert(thread, *cores);
        Ok(())
    }
    fn affinity(&self, thread: ThreadId) -> Result<CpuSet, AffinityError> {
        Ok(self.masks.lock().unwrap().get(&thread).copied().unwrap_or_default())
    }
    fn set_nice(&self, _: ThreadId, _: i32) -> Result<(), AffinityError> {
        Err(AffinityError::Unsupported)
    }
    fn nice(&self, _: ThreadId) -> Result<i32, AffinityError> {
        Err(AffinityError::Unsupported)
    }
    fn thread_times(&self, _: ThreadId) -> Option<ThreadTimes> {
        None
    }
    fn has_ended(&self, _: ThreadId) -> bool {
        false
    }
    fn core_times(&self) -> Vec<CoreTimes> {
        Vec::new()
    }
    fn memory(&self) -> MemoryUse {
        MemoryUse::default()
    }
}

pub(super) struct TestPool {
    pub(super) pool: Pool,
    pub(super) script: Arc<Script>,
    machine: Arc<FakeMachine>,
    events: mpsc::Receiver<PoolEvent>,
}

pub(super) const ONE: InstanceSetup = InstanceSetup::cpu(1);
const THREE: InstanceSetup = InstanceSetup::cpu(3);
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

fn set(list: &str) -> CpuSet {
    list.parse().unwrap()
}

pub(super) fn rig(queue: QueuePolicy) -> TestPool {
    rig_with(queue, Arc::default())
}

/// A pool that shares places for builds with others.
fn rig_with(queue: QueuePolicy, places: Arc<BuildPlaces>) -> TestPool {
    let machine = Arc::new(FakeMachine::default());
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    let listener = Box::new(move |event| drop(sender.lock().unwrap().send(event)));
    let pool = Pool::new("model", machine.clone(), queue, set("0-1"), listener).with_places(places);
    let script = Arc::new(Script::default());
    pool.pin_builders(set("0-7"));
    pool.install(Arc::new(SyntheticModel::new(script.clone())), Arc::default());
    TestPool { pool, script, machine, events }
}

impl TestPool {
    pub(super) fn serve(&self, count: usize, setup: InstanceSetup) -> PoolEvent {
        assert!(self.pool.ensure(count, setup));
        let event = self.events.recv_timeout(PATIENCE).unwrap();
        self.pool.set_bound(count);
        event
    }

    pub(super) fn built(&self) -> usize {
        self.script.built.load(Ordering::SeqCst)
    }

    pub(super) fn runs(&self) -> u64 {
        self.script.runs.load(Ordering::SeqCst)
    }

    fn submit(&self, count: usize) -> mpsc::Receiver<Outcome> {
        self.submit_each((0..count).map(|_| Arc::default()))
    }

    pub(super) fn submit_each(
        &self,
        requests: impl IntoIterator<Item = Arc<Vec<NamedTensor>>>,
    ) -> mpsc::Receiver<Outcome> {
        let (sender, outcomes) = mpsc::channel();
        for inputs in requests {
            let sender = sender.clone();
            let reply = Box::new(move |outcome| drop(sender.send(outcome)));
            self.pool.sender().submit(Request::new(inputs, reply));
        }
        outcomes
    }

    pub(super) fn until(&self, what: &str, done: impl Fn(&Pool) -> bool) {
        let start = Instant::now();
        while !done(&self.pool) {
            assert!(start.elapsed() < PATIENCE, "waited in vain: {what}; {:?}", self.pool.counts());
            assert!(self.pool.counts().balanced());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn kinds(outcomes: &mpsc::Receiver<Outcome>) -> HashMap<&'static str, usize> {
    let mut kinds = HashMap::new();
    while let Ok(outcome) = outcomes.recv_timeout(PATIENCE) {
        let kind = match outcome.result {
            Ok(_) => "completed",
            Err(RequestError::Rejected { .. }) => "rejected",
            Err(RequestError::TimedOut { .. }) => "timed out",
            Err(RequestError::Cancelled) => "cancelled",
            Err(RequestError::Failed(_)) => "failed",
            Err(RequestError::Input { .. }) => "wrong input",
            Err(RequestError::Invalid(_)) => "invalid",
            Err(RequestError::OverBudget { .. }) => "over budget",
            Err(RequestError::Panicked { .. }) => "panicked",
        };
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

#[test]
fn every_request_is_counted() {
    let rig = rig(QueuePolicy { limit: 1000, ..QueuePolicy::default() });
    rig.serve(2, ONE);
    let outcomes = rig.submit(500);
    assert_eq!(kinds(&outcomes), HashMap::from([("completed", 500)]));
    let counts = rig.pool.counts();
    assert_eq!((counts.submitted, counts.completed), (500, 500));
    assert!(counts.balanced());
}

#[test]
fn a_full_queue_rejects_or_blocks() {
    let full = rig(QueuePolicy { limit: 3, ..QueuePolicy::default() });
    let outcomes = full.submit(5);
    assert_eq!(full.pool.counts().queued, 3);
    full.serve(1, ONE);
    let expected = HashMap::from([("completed", 3), ("rejected", 2)]);
    assert_eq!(kinds(&outcomes), expected);

    let blocking =
        rig(QueuePolicy { limit: 3, overflow: Overflow::Block, ..QueuePolicy::default() });
    let outcomes = blocking.submit(5);
    let counts = blocking.pool.counts();
    assert_eq!((counts.queued, counts.blocked), (3, 2));
    blocking.serve(1, ONE);
    assert_eq!(kinds(&outcomes), HashMap::from([("completed", 5)]));
}

#[test]
fn requests_that_wait_too_long_time_out() {
    let timeout = Some(Duration::from_millis(1));
    let rig = rig(QueuePolicy { limit: 10, timeout, ..QueuePolicy::default() });
    let outcomes = rig.submit(4);
    std::thread::sleep(Duration::from_millis(5));
    rig.pool.expire(Instant::now());
    assert_eq!(kinds(&outcomes), HashMap::from([("timed out", 4)]));
    assert!(rig.pool.counts().balanced());
}

#[test]
fn broken_instance_is_replaced() {
    let rig = rig(QueuePolicy { limit: 100, ..QueuePolicy::default() });
    rig.serve(1, ONE);
    assert_eq!(rig.script.built.load(Ordering::Relaxed), 1);
    // The trial request was the first; a replaced instance runs one as well.
    rig.script.panic_every.store(5, Ordering::Relaxed);
    let outcomes = rig.submit(8);
    let first = kinds(&outcomes);
    assert_eq!(first.get("completed").copied().unwrap_or(0) + first["panicked"], 8);
    assert!(first["panicked"] >= 1);
    rig.script.panic_every.store(0, Ordering::Relaxed);
    rig.until("the instance is replaced", |pool| pool.seats().serving == 1);
    assert!(rig.script.built.load(Ordering::Relaxed) >= 2);
    rig.script.fail_every.store(1, Ordering::Relaxed);
    let outcomes = rig.submit(1);
    assert_eq!(kinds(&outcomes), HashMap::from([("failed", 1)]));
    rig.script.fail_every.store(0, Ordering::Relaxed);
    let outcomes = rig.submit(3);
    assert_eq!(kinds(&outcomes), HashMap::from([("completed", 3)]));
}

#[test]
fn parked_instances_return() {
    let rig = rig(QueuePolicy { limit: 1000, ..QueuePolicy::default() });
    rig.script.sleep_ns.store(200_000, Ordering::Relaxed);
    rig.serve(3, ONE);
    rig.pool.set_bound(1);
    rig.script.take_most_running();
    assert_eq!(kinds(&rig.submit(60)), HashMap::from([("completed", 60)]));
    assert_eq!(rig.script.take_most_running(), 1);
    rig.pool.set_bound(3);
    assert!(!rig.pool.ensure(3, ONE), "nothing to build: they were parked");
    assert_eq!(kinds(&rig.submit(60)), HashMap::from([("completed", 60)]));
    let most = rig.script.take_most_running();
    assert!((2..=3).contains(&most), "{most}");
    assert_eq!(rig.script.built.load(Ordering::Relaxed), 3);
}

#[test]
fn panicking_reply_costs_no_thread() {
    let queue = |timeout| QueuePolicy { limit: 4, timeout, ..QueuePolicy::default() };
    let rig = rig(queue(Some(Duration::from_millis(1))));
    let answered = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let submit = || {
        let answered = answered.clone();
        let reply: Reply = Box::new(move |_| {
            answered.fetch_add(1, Ordering::SeqCst);
            std::panic::resume_unwind(Box::new("a caller's own fault"));
        });
        rig.pool.sender().submit(Request::new(Arc::default(), reply))
    };
    let ids: Vec<RequestId> = (0..4).filter_map(|_| submit()).collect();
    assert_eq!((ids.len(), submit()), (4, None), "the fifth is rejected");
    assert!(rig.pool.sender().cancel(ids[0]));
    rig.pool.expire(Instant::now() + PATIENCE);
    rig.until("the expired ones", |_| answered.load(Ordering::SeqCst) == 5);
    // these have timed out when the instance takes them
    rig.pool.set_bound(1);
    assert!(submit().is_some() && submit().is_some());
    std::thread::sleep(Duration::from_millis(2));
    rig.serve(1, ONE);
    rig.until("the late ones", |pool| pool.counts().timed_out == 5);
    rig.pool.set_queue(queue(None));
    assert!(submit().is_some());
    assert_eq!(kinds(&rig.submit(3)), HashMap::from([("completed", 3)]));
    rig.pool.set_bound(0);
    assert!(submit().is_some());
    rig.pool.refuse(Some(Rejection::ModelFailed));
    rig.until("the refused one", |_| answered.load(Ordering::SeqCst) == 9);
    let counts = rig.pool.counts();
    assert!(counts.balanced() && (counts.completed, counts.rejected) == (4, 2), "{counts:?}");
    assert_eq!((rig.pool.seats().serving, rig.built()), (1, 1));
}

#[test]
fn every_thread_is_pinned() {
    let rig = rig(QueuePolicy::default());
    rig.serve(2, THREE);
    let members = rig.pool.members();
    assert_eq!(members.len(), 6);
    assert_eq!(members.iter().filter(|member| member.helper).count(), 4);
    let all_on = |mask: CpuSet| {
        let masks = rig.machine.masks.lock().unwrap();
        members.iter().all(|member| masks[&member.id] == mask)
    };
    assert!(all_on(set("0-1")), "instances that are built join on the mask");
    assert_eq!(rig.pool.pin(set("3,5")), Vec::<String>::new());
    assert!(all_on(set("3,5")));
}

#[test]
fn surplus_sleepers_are_let_go() {
    let rig = rig(QueuePolicy::default());
    rig.serve(8, ONE);
    rig.pool.set_bound(1);
    rig.pool.release_parked(1);
    rig.until("sleepers end", |pool| pool.members().len() == 1 + PARKED_LIMIT);
    assert_eq!(rig.pool.seats().serving, 1 + PARKED_LIMIT);
    assert_eq!(kinds(&rig.submit(1)), HashMap::from([("completed", 1)]));
}

#[test]
fn busy_surplus_retires_after_its_request() {
    let rig = rig(QueuePolicy { limit: 1000, ..QueuePolicy::default() });
    rig.serve(8, ONE);
    rig.script.run_blocked.store(true, Ordering::SeqCst);
    let outcomes = rig.submit(100);
    rig.until("all run", |pool| pool.counts().executing == 8);
    rig.pool.set_bound(1);
    rig.pool.release_parked(1);
    assert_eq!(rig.pool.seats().serving, 8, "none is interrupted");
    rig.script.run_blocked.store(false, Ordering::SeqCst);
    assert_eq!(kinds(&outcomes), HashMap::from([("completed", 100)]));
    rig.until("the surplus ends", |pool| pool.members().len() == 1 + PARKED_LIMIT);
    // instances that are requested again stay
    rig.serve(8, ONE);
    assert_eq!(kinds(&rig.submit(100)), HashMap::from([("completed", 100)]));
    assert_eq!(rig.pool.seats().serving, 8);
}

#[test]
fn draining_answers_every_request() {
    let rig = rig(QueuePolicy { limit: 1000, ..QueuePolicy::default() });
    rig.script.sleep_ns.store(100_000, Ordering::Relaxed);
    rig.serve(2, ONE);
    let outcomes = rig.submit(100);
    assert!(rig.pool.drain(PATIENCE));
    assert_eq!(kinds(&outcomes), HashMap::from([("completed", 100)]));
    assert_eq!(kinds(&rig.submit(1)), HashMap::from([("rejected", 1)]));
    assert!(rig.pool.members().is_empty());
    assert!(rig.pool.counts().balanced());
}

#[test]
fn a_paused_pool_rejects_its_queue_at_shutdown() {
    let rig = rig(QueuePolicy::default());
    rig.serve(1, ONE);
    rig.pool.set_bound(0);
    let outcomes = rig.submit(3);
    assert!(rig.pool.drain(Duration::from_millis(50)));
    assert_eq!(kinds(&outcomes), HashMap::from([("rejected", 3)]));
}

#[tokio::test]
async fn dropped_call_cancels_its_request() {
    let rig = rig(QueuePolicy::default());
    let client = rig.pool.client();
    let waiting =
        tokio::time::timeout(Duration::from_millis(5), client.infer(Arc::default())).await;
    assert!(waiting.is_err());
    let counts = rig.pool.counts();
    assert_eq!((counts.queued, counts.cancelled), (0, 1));
    rig.serve(1, ONE);
    assert!(client.infer(Arc::default()).await.result.is_ok());
}

#[test]
fn thread_names_fit_the_kernel() {
    assert_eq!(thread_name("detector", 3), "detector/3");
    assert_eq!(thread_name("a-very-long-model-name", 12), "a-very-long-/12");
    assert!(thread_name("ディテクター検出器", 7).len() <= 15);
}

#[test]
fn only_callers_count_as_callers() {
    let rig = rig(QueuePolicy::default());
    rig.submit_each([Arc::default()]);
    assert!(!rig.pool.has_callers(), "the built-in load uses this sender");
    drop(rig.pool.client().submit(Arc::default()));
    assert!(rig.pool.has_callers());
}
