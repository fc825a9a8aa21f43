//! Tests of the threads on which replies run, and of workers that panic outside of a run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;
use crate::engine::{EngineError, EngineMemory, Instance, Model, Signature};

/// Submits a request whose reply blocks until a message comes, and which reports the thread it runs on.
fn submit_blocking(pool: &Pool) -> (mpsc::Sender<()>, mpsc::Receiver<std::thread::ThreadId>) {
    let (go, gone) = mpsc::channel::<()>();
    let (report, thread) = mpsc::channel();
    let reply: Reply = Box::new(move |_| {
        report.send(std::thread::current().id()).unwrap();
        let _ = gone.recv_timeout(PATIENCE);
    });
    let request = Request::new(Arc::default(), reply);
    pool.sender().submit(request);
    (go, thread)
}

#[test]
fn expiry_does_not_wait_for_replies() {
    let queue =
        QueuePolicy { limit: 9, timeout: Some(Duration::from_millis(1)), ..QueuePolicy::default() };
    let rig = rig(queue);
    let (go, thread) = submit_blocking(&rig.pool);
    rig.pool.expire(Instant::now() + PATIENCE);
    assert_eq!(rig.pool.counts().timed_out, 1);
    assert_ne!(thread.recv_timeout(PATIENCE).unwrap(), std::thread::current().id());
    drop(go);
}

#[test]
fn refusal_does_not_wait_for_replies() {
    let rig = rig(QueuePolicy::default());
    let (go, thread) = submit_blocking(&rig.pool);
    rig.pool.refuse(Some(Rejection::ModelFailed));
    assert_ne!(thread.recv_timeout(PATIENCE).unwrap(), std::thread::current().id());
    drop(go);
}

#[test]
fn refusal_spares_later_requests() {
    let rig = rig(QueuePolicy::default());
    let (go, thread) = submit_blocking(&rig.pool);
    // It waits behind the first refusal's reply.
    rig.pool.refuse(Some(Rejection::ModelFailed));
    thread.recv_timeout(PATIENCE).unwrap();
    rig.pool.refuse(Some(Rejection::ModelFailed));
    rig.pool.refuse(None);
    let outcomes = rig.submit(1);
    drop(go);
    rig.serve(1, ONE);
    assert_eq!(kinds(&outcomes), HashMap::from([("completed", 1)]));
}

/// A model that panics once when it is asked for its memory, which no run catches.
struct PanickingModel {
    model: SyntheticModel,
    panics: Arc<AtomicBool>,
}

impl Model for PanickingModel {
    fn signature(&self) -> &Signature {
        self.model.signature()
    }
    fn instance(&self, setup: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
        self.model.instance(setup)
    }
    fn memory(&self) -> EngineMemory {
        if self.panics.swap(false, Ordering::SeqCst) {
            std::panic::resume_unwind(Box::new("the script says so"));
        }
        self.model.memory()
    }
}

#[test]
fn panic_beside_a_run_costs_one_request() {
    let rig = rig(QueuePolicy::default());
    let panics = Arc::new(AtomicBool::new(false));
    let model = SyntheticModel::new(rig.script.clone());
    let model = PanickingModel { model, panics: panics.clone() };
    rig.pool.install(Arc::new(model), Arc::default());
    // The worker asks for the memory after each run.
    rig.pool.set_memory(Some(1 << 30));
    rig.serve(1, ONE);
    panics.store(true, Ordering::SeqCst);
    assert_eq!(kinds(&rig.submit(1)), HashMap::from([("panicked", 1)]));
    let counts = rig.pool.counts();
    assert_eq!((counts.failed, counts.executing), (1, 0));
    assert_eq!(kinds(&rig.submit(3)), HashMap::from([("completed", 3)]));
    assert_eq!((rig.built(), rig.pool.members().len()), (2, 1));
}

#[test]
fn wait_awake_ends_at_its_limit() {
    let rig = rig(QueuePolicy::default());
    let mut pending = rig.pool.client().submit(Arc::default());
    assert!(pending.wait_awake(Duration::from_millis(1)).is_none());
    assert!(pending.id().is_some(), "it still waits");
    rig.serve(1, ONE);
    let outcome = pending.wait_awake(PATIENCE).unwrap();
    assert!(outcome.result.is_ok() && pending.id().is_none());
    drop(pending);
    assert_eq!(rig.pool.counts().completed, 1);
}
