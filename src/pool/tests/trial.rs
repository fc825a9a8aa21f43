//! Tests of models without a trial request: their callers' good requests are the trial.

use super::*;
use crate::engine::{Tensor, TensorData};

/// Why the models of these tests were not tried.
const REASON: &str = "no guess runs";

/// A pool whose model has no trial request.
fn untried_rig() -> TestPool {
    let rig = rig(QueuePolicy::default());
    let model = Arc::new(SyntheticModel::new(rig.script.clone()));
    rig.pool.install_untried(model, REASON, None);
    rig
}

fn real_request() -> Arc<Vec<NamedTensor>> {
    let tensor = Tensor::new(vec![1], TensorData::I64(vec![7])).unwrap();
    Arc::new(vec![NamedTensor { name: "axis".into(), tensor }])
}

fn submit_one(rig: &TestPool) -> HashMap<&'static str, usize> {
    kinds(&rig.submit_each([real_request()]))
}

#[test]
fn untried_model_serves_without_a_run() {
    let rig = untried_rig();
    assert!(matches!(rig.serve(1, ONE), PoolEvent::Built(_)));
    assert_eq!((rig.runs(), rig.pool.untried().as_deref()), (0, Some(REASON)));
}

#[test]
fn first_good_request_is_the_next_trial() {
    let rig = untried_rig();
    rig.serve(1, ONE);
    assert_eq!(submit_one(&rig), HashMap::from([("completed", 1)]));
    assert_eq!(rig.pool.untried(), None);
    assert_eq!(rig.pool.last_good_request(), Some(real_request()));
    rig.serve(1, THREE);
    assert_eq!(rig.runs(), 2, "the new instance has run it");
}

#[test]
fn trial_of_callers_can_fail_a_build() {
    let rig = untried_rig();
    rig.serve(1, ONE);
    submit_one(&rig);
    rig.script.fail_every.store(1, Ordering::SeqCst);
    let PoolEvent::BuildFailed { reason, .. } = rig.serve(1, THREE) else { panic!("it fails") };
    assert!(reason.contains("the last good one of its callers, failed"), "{reason}");
}

#[test]
fn failure_of_an_untried_model_costs_no_instance() {
    let rig = untried_rig();
    rig.serve(1, ONE);
    rig.script.fail_every.store(1, Ordering::SeqCst);
    assert_eq!(submit_one(&rig), HashMap::from([("failed", 1)]));
    assert_eq!((rig.built(), rig.runs(), rig.pool.seats().serving), (1, 1, 1));
    assert!(rig.pool.untried().is_some(), "a failed request is no trial");
}

#[test]
fn panic_of_an_untried_model_costs_the_instance() {
    let rig = untried_rig();
    rig.serve(1, ONE);
    rig.script.panic_every.store(1, Ordering::SeqCst);
    assert_eq!(submit_one(&rig), HashMap::from([("panicked", 1)]));
    rig.until("it is replaced", |pool| rig.built() == 2 && pool.seats().serving == 1);
}

#[test]
fn failure_after_a_good_request_is_checked() {
    let rig = untried_rig();
    rig.serve(1, ONE);
    submit_one(&rig);
    rig.script.fail_every.store(1, Ordering::SeqCst);
    assert_eq!(submit_one(&rig), HashMap::from([("failed", 1)]));
    rig.script.fail_every.store(0, Ordering::SeqCst);
    rig.until("it is replaced", |pool| rig.built() >= 2 && pool.seats().serving == 1);
}

#[test]
fn working_guess_keeps_no_request() {
    let rig = rig(QueuePolicy::default());
    rig.serve(1, ONE);
    submit_one(&rig);
    assert_eq!((rig.pool.last_good_request(), rig.pool.untried()), (None, None));
}
