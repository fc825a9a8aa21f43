//! Tests of the places for loads, builds and trial requests.

use super::super::build_places::{BuildPlace, BuildStep, Places};
use super::*;

const TWO: InstanceSetup = InstanceSetup::cpu(2);

/// A pool beside another one that holds the only place.
fn waiting_rig() -> (TestPool, BuildPlace) {
    let places = Arc::new(BuildPlaces::new(1));
    let taken = places.take(u64::MAX, BuildStep::Build, &|| false).unwrap();
    (rig_with(QueuePolicy::default(), places), taken)
}

fn building(rig: &TestPool) -> usize {
    rig.script.builds().0
}

#[test]
fn superseded_waiting_build_never_builds() {
    let rig = rig_with(QueuePolicy::default(), Arc::new(BuildPlaces::new(1)));
    rig.serve(1, ONE);
    rig.script.build_blocked.store(3, Ordering::SeqCst);
    assert!(rig.pool.ensure(4, THREE));
    rig.until("the first is being built", |_| building(&rig) == 1);
    assert!(rig.pool.ensure(1, TWO));
    rig.script.build_blocked.store(0, Ordering::SeqCst);
    let event = rig.events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(event, PoolEvent::Built(report) if report.setup == TWO), "{event:?}");
    rig.until("the others have ended", |pool| pool.members().len() == 2);
    assert!(rig.pool.drain(PATIENCE));
    assert_eq!(rig.built(), 3, "one of each width");
}

#[test]
fn superseded_instance_runs_no_trial() {
    let rig = rig(QueuePolicy::default());
    rig.script.build_blocked.store(3, Ordering::SeqCst);
    assert!(rig.pool.ensure(2, THREE));
    rig.until("both are being built", |_| building(&rig) == 2);
    assert!(rig.pool.ensure(1, TWO));
    rig.script.build_blocked.store(0, Ordering::SeqCst);
    rig.until("the newest serves", |pool| pool.seats().serving == 1);
    assert!(rig.pool.drain(PATIENCE));
    assert_eq!((rig.built(), rig.runs()), (3, 1));
}

#[test]
fn failed_batch_ends_its_waiting_builds() {
    let rig = rig_with(QueuePolicy::default(), Arc::new(BuildPlaces::new(1)));
    rig.script.build_fails.store(true, Ordering::SeqCst);
    assert!(rig.pool.ensure(5, ONE));
    let event = rig.events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(event, PoolEvent::BuildFailed { .. }), "{event:?}");
    rig.script.build_fails.store(false, Ordering::SeqCst);
    rig.until("all have ended", Pool::has_ended);
    assert_eq!(rig.built(), 0);
}

#[test]
fn lowered_count_drops_waiting_builds() {
    let rig = rig_with(QueuePolicy::default(), Arc::new(BuildPlaces::new(2)));
    rig.script.build_blocked.store(1, Ordering::SeqCst);
    assert!(rig.pool.ensure(20, ONE));
    rig.until("two are being built", |_| building(&rig) == 2);
    assert!(rig.pool.ensure(1, ONE));
    assert_eq!(rig.pool.warming(), Some((0, 2)));
    rig.script.build_blocked.store(0, Ordering::SeqCst);
    let event = rig.events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(event, PoolEvent::Built(_)), "{event:?}");
    assert_eq!((rig.built(), rig.pool.seats().serving), (2, 2));
}

#[test]
fn pools_share_their_places() {
    let (places, script) = (Arc::new(BuildPlaces::new(2)), Arc::new(Script::default()));
    script.build_ns.store(1_000_000, Ordering::SeqCst);
    let pools: Vec<_> = (0..4).map(|_| rig_with(QueuePolicy::default(), places.clone())).collect();
    for rig in &pools {
        rig.pool.install(Arc::new(SyntheticModel::new(script.clone())), Arc::default());
        assert!(rig.pool.ensure(3, ONE));
    }
    for rig in &pools {
        let event = rig.events.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(event, PoolEvent::Built(_)), "{event:?}");
    }
    assert_eq!(script.builds(), (0, 2));
}

#[test]
fn trials_of_a_model_never_overlap() {
    let rig = rig(QueuePolicy::default());
    rig.script.sleep_ns.store(2_000_000, Ordering::SeqCst);
    rig.serve(6, ONE);
    assert_eq!((rig.runs(), rig.script.take_most_running()), (6, 1));
}

#[test]
fn removal_ends_a_waiting_build_at_once() {
    let (rig, taken) = waiting_rig();
    assert!(rig.pool.ensure(3, ONE));
    assert!(rig.pool.drain(PATIENCE));
    assert_eq!(rig.built(), 0);
    drop(taken);
}

#[test]
fn removal_ends_a_waiting_load_at_once() {
    let (rig, taken) = waiting_rig();
    let turn = rig.pool.start_load();
    let load = std::thread::spawn(move || turn.run(|| ()));
    assert!(rig.pool.drain(PATIENCE));
    assert_eq!(load.join().unwrap(), None);
    drop(taken);
}

#[test]
fn removal_ends_a_waiting_repair_at_once() {
    let places = Arc::new(BuildPlaces::new(1));
    let rig = rig_with(QueuePolicy::default(), places.clone());
    rig.serve(1, ONE);
    let taken = places.take(u64::MAX, BuildStep::Build, &|| false);
    rig.script.panic_every.store(1, Ordering::SeqCst);
    assert_eq!(kinds(&rig.submit(1)), HashMap::from([("panicked", 1)]));
    assert!(rig.pool.drain(PATIENCE));
    assert_eq!(rig.built(), 1);
    drop(taken);
}

/// Returns the pools and steps in the order in which they get `limit` places.
fn order(
    taken: &[(u64, BuildStep)],
    waiting: &[(u64, BuildStep)],
    limit: usize,
) -> Vec<(u64, BuildStep)> {
    let mut places = Places::default();
    places.taken.extend(taken);
    for (pool, step) in waiting {
        places.wait(*pool, *step);
    }
    places.give(limit);
    places.taken.split_off(taken.len())
}

#[test]
fn a_place_goes_to_the_pool_with_the_fewest() {
    let waiting = [
        (1, BuildStep::Build),
        (1, BuildStep::Build),
        (1, BuildStep::Build),
        (2, BuildStep::Build),
    ];
    assert_eq!(order(&[], &waiting, 2), [(1, BuildStep::Build), (2, BuildStep::Build)]);
    assert_eq!(
        order(&[(1, BuildStep::Build)], &waiting, 3),
        [(2, BuildStep::Build), (1, BuildStep::Build)]
    );
}

#[test]
fn a_trial_comes_before_builds() {
    assert_eq!(
        order(&[], &[(1, BuildStep::Build), (1, BuildStep::Trial)], 1),
        [(1, BuildStep::Trial)]
    );
}

#[test]
fn a_second_trial_of_a_pool_waits() {
    let waiting = [(1, BuildStep::Trial), (1, BuildStep::Trial), (2, BuildStep::Trial)];
    assert_eq!(order(&[], &waiting, 8), [(1, BuildStep::Trial), (2, BuildStep::Trial)]);
}
