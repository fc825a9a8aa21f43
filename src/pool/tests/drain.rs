//! Tests of the end of a pool while its model loads or its instances are built.

use super::*;

/// Shuts the pool down, and returns true if it did so before its patience was over.
fn shuts_down_early(pool: &Pool) -> bool {
    let start = Instant::now();
    assert!(!pool.shut_down(PATIENCE), "something is left");
    start.elapsed() < PATIENCE
}

#[test]
fn shutdown_leaves_a_load_behind() {
    let rig = rig(QueuePolicy::default());
    let turn = rig.pool.start_load();
    let (end, ended) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let load = std::thread::spawn(move || {
        turn.run(|| {
            begin.send(()).unwrap();
            ended.recv().unwrap();
        })
    });
    begun.recv().unwrap();
    let outcomes = rig.submit(2);
    assert!(shuts_down_early(&rig.pool));
    assert_eq!(kinds(&outcomes), HashMap::from([("rejected", 2)]));
    assert!(engine_threads() > 0);
    end.send(()).unwrap();
    load.join().unwrap();
    assert!(rig.pool.has_ended());
}

#[test]
fn shutdown_leaves_builds_behind() {
    let rig = rig(QueuePolicy::default());
    rig.serve(1, ONE);
    rig.script.build_blocked.store(3, Ordering::SeqCst);
    assert!(rig.pool.ensure(2, THREE));
    rig.until("both are being built", |_| rig.script.builds().0 == 2);
    assert!(shuts_down_early(&rig.pool));
    assert!(rig.pool.members().is_empty());
    rig.script.heal();
    rig.until("they have ended", Pool::has_ended);
}

#[test]
fn shutdown_leaves_a_trial_request_behind() {
    let rig = rig(QueuePolicy::default());
    rig.script.run_blocked.store(true, Ordering::SeqCst);
    assert!(rig.pool.ensure(1, ONE));
    rig.until("the trial runs", |_| rig.runs() == 1);
    assert!(shuts_down_early(&rig.pool));
    rig.script.heal();
    rig.until("it has ended", Pool::has_ended);
}

#[test]
fn shutdown_waits_for_running_requests() {
    let rig = rig(QueuePolicy::default());
    rig.serve(1, ONE);
    rig.script.run_blocked.store(true, Ordering::SeqCst);
    rig.script.build_blocked.store(3, Ordering::SeqCst);
    let outcomes = rig.submit(1);
    assert!(rig.pool.ensure(1, THREE));
    rig.until("it is being built", |_| rig.script.builds().0 == 1);
    std::thread::scope(|scope| {
        let shutdown = scope.spawn(|| shuts_down_early(&rig.pool));
        std::thread::sleep(Duration::from_millis(600));
        assert!(!shutdown.is_finished(), "a request runs");
        rig.script.run_blocked.store(false, Ordering::SeqCst);
        assert!(shutdown.join().unwrap());
    });
    assert_eq!(kinds(&outcomes), HashMap::from([("completed", 1)]));
    rig.script.heal();
    rig.until("the build has ended", Pool::has_ended);
}
