//! Tests of requests whose inputs do not fit the model: they are refused on arrival.

use super::*;
use crate::engine::{
    Dim, ElementType, EngineError, EngineMemory, Instance, Model, Signature, Tensor, TensorData,
    TensorSpec,
};

/// A scripted model that requires one input `x` of the type float32 and the shape `[n, 2]`.
struct StrictModel {
    model: SyntheticModel,
    signature: Signature,
}

impl StrictModel {
    /// Installs such a model, with `name` in place of `x`.
    fn install(rig: &TestPool, name: &str) {
        let dims = Some(vec![Dim::Named("n".to_owned()), Dim::Fixed(2)]);
        let spec = TensorSpec { name: name.to_owned(), element: ElementType::F32, dims };
        let signature = Signature { inputs: vec![spec], outputs: Vec::new() };
        let model = SyntheticModel::new(rig.script.clone());
        rig.pool.install(Arc::new(Self { model, signature }), request(name, 1));
    }
}

impl Model for StrictModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn instance(&self, setup: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
        self.model.instance(setup)
    }
    fn memory(&self) -> EngineMemory {
        self.model.memory()
    }
}

fn request(name: &str, rows: usize) -> Arc<Vec<NamedTensor>> {
    let tensor = Tensor::new(vec![rows, 2], TensorData::F32(vec![0.0; 2 * rows])).unwrap();
    Arc::new(vec![NamedTensor { name: name.to_owned(), tensor }])
}

/// Returns an error that is there already.
fn error(outcomes: &mpsc::Receiver<Outcome>) -> RequestError {
    outcomes.try_recv().unwrap().result.unwrap_err()
}

#[test]
fn paused_model_refuses_wrong_inputs_at_once() {
    let rig = rig(QueuePolicy::default());
    StrictModel::install(&rig, "x");
    let wrong = Tensor::new(vec![1, 3], TensorData::F32(vec![0.0; 3])).unwrap();
    let wrong = Arc::new(vec![NamedTensor { name: "x".to_owned(), tensor: wrong }]);
    let error = error(&rig.submit_each([wrong]));
    let RequestError::Input { input, reason } = error else { panic!("{error:?}") };
    assert_eq!(input, "x");
    assert_eq!(reason.to_string(), "its shape is [1, 3], where the model wants float32 [n, 2]");
}

#[test]
fn wrong_inputs_count_as_failed() {
    let rig = rig(QueuePolicy::default());
    StrictModel::install(&rig, "x");
    drop(rig.submit_each([request("y", 1), request("x", 1), Arc::default()]));
    let counts = rig.pool.counts();
    assert_eq!((counts.submitted, counts.failed, counts.queued), (3, 2, 1));
    assert!(counts.balanced());
}

#[test]
fn busy_instance_sees_no_wrong_inputs() {
    let rig = rig(QueuePolicy::default());
    StrictModel::install(&rig, "x");
    rig.serve(1, ONE);
    rig.script.run_blocked.store(true, Ordering::SeqCst);
    let running = rig.submit_each([request("x", 1)]);
    rig.until("it runs", |pool| pool.counts().executing == 1);
    let wrong = rig.submit_each([request("y", 1)]);
    let error = error(&wrong);
    assert_eq!(error.to_string(), "input `y`: the model has no such input, only `x`");
    rig.script.run_blocked.store(false, Ordering::SeqCst);
    assert_eq!(kinds(&running), HashMap::from([("completed", 1)]));
    assert_eq!(rig.runs(), 2, "the trial request and the good one");
}

#[test]
fn full_queue_does_not_hide_wrong_inputs() {
    let rig = rig(QueuePolicy { limit: 1, ..QueuePolicy::default() });
    StrictModel::install(&rig, "x");
    let _waiting = rig.submit_each([request("x", 1)]);
    assert!(matches!(error(&rig.submit_each([Arc::default()])), RequestError::Input { .. }));
}

#[test]
fn failed_model_says_so_for_wrong_inputs() {
    let rig = rig(QueuePolicy::default());
    StrictModel::install(&rig, "x");
    rig.pool.refuse(Some(Rejection::ModelFailed));
    let error = error(&rig.submit_each([request("y", 1)]));
    assert!(matches!(error, RequestError::Rejected { reason: Rejection::ModelFailed }));
}

#[test]
fn successor_of_a_pool_checks_inputs_itself() {
    let (old, new) = (rig(QueuePolicy::default()), rig(QueuePolicy::default()));
    StrictModel::install(&old, "x");
    StrictModel::install(&new, "y");
    new.serve(1, ONE);
    old.pool.drain(Duration::ZERO);
    let is_first = std::cell::Cell::new(true);
    let find = || Some(if is_first.replace(false) { &old } else { &new }.pool.client());
    let (sender, outcomes) = mpsc::channel();
    let reply = Box::new(move |outcome| drop(sender.send(outcome)));
    assert!(Client::send_to(find, Request::new(request("y", 1), reply)).is_some());
    assert_eq!(kinds(&outcomes), HashMap::from([("completed", 1)]));
}

#[test]
fn newest_installed_model_checks_inputs() {
    let rig = rig(QueuePolicy::default());
    StrictModel::install(&rig, "x");
    rig.pool.uninstall();
    StrictModel::install(&rig, "y");
    assert_eq!(rig.pool.sender().signature().inputs[0].name, "y");
    assert!(matches!(error(&rig.submit_each([request("x", 1)])), RequestError::Input { .. }));
    drop(rig.submit_each([request("y", 1)]));
    assert_eq!(rig.pool.counts().queued, 1);
}
