//! Tests of builds beside serving instances: take-over, failure and replacement.

use super::*;

#[test]
fn another_width_takes_over_without_a_pause() {
    let rig = rig(QueuePolicy { limit: 100_000, ..QueuePolicy::default() });
    rig.serve(2, ONE);
    assert_eq!(rig.pool.members().len(), 2);
    rig.script.build_blocked.store(Script::ALL, Ordering::SeqCst);
    assert!(rig.pool.ensure(1, THREE));
    assert!(rig.pool.warming().is_some());
    // The old ones serve while the new one is built.
    assert_eq!(kinds(&rig.submit(50)), HashMap::from([("completed", 50)]));
    assert!(rig.pool.warming().is_some());
    rig.script.build_blocked.store(0, Ordering::SeqCst);
    let Ok(PoolEvent::Built(report)) = rig.events.recv_timeout(PATIENCE) else {
        panic!("the build is to be reported")
    };
    assert_eq!(report.setup, THREE);
    rig.until("old seats end", |pool| pool.seats().others == 0 && pool.members().len() == 3);
    assert_eq!(rig.pool.setup(), Some(THREE));
    assert_eq!(kinds(&rig.submit(50)), HashMap::from([("completed", 50)]));
}

#[test]
fn a_failed_build_leaves_the_old_width_serving() {
    let rig = rig(QueuePolicy { limit: 1000, ..QueuePolicy::default() });
    rig.serve(1, ONE);
    rig.script.build_fails.store(true, Ordering::Relaxed);
    assert!(rig.pool.ensure(2, THREE));
    let event = rig.events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(event, PoolEvent::BuildFailed { setup: THREE, .. }), "{event:?}");
    assert_eq!(rig.pool.setup(), Some(ONE));
    assert_eq!(kinds(&rig.submit(20)), HashMap::from([("completed", 20)]));
    // And growing the old width still works.
    rig.script.build_fails.store(false, Ordering::Relaxed);
    rig.serve(2, ONE);
    rig.until("two serve", |pool| pool.seats().serving == 2);
}

#[test]
fn a_newer_build_supersedes_an_older_one() {
    let rig = rig(QueuePolicy { limit: 1000, ..QueuePolicy::default() });
    rig.serve(1, ONE);
    rig.script.build_blocked.store(Script::ALL, Ordering::SeqCst);
    assert!(rig.pool.ensure(2, THREE));
    let two = InstanceSetup::cpu(2);
    assert!(rig.pool.ensure(1, two));
    rig.script.build_blocked.store(0, Ordering::SeqCst);
    let event = rig.events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(event, PoolEvent::Built(report) if report.setup == two), "{event:?}");
    rig.until("all others end", |pool| pool.seats().others == 0 && pool.members().len() == 2);
    assert_eq!(rig.pool.seats().serving, 1);
}

#[test]
fn growing_generation_takes_over_whole() {
    let rig = rig(QueuePolicy { limit: 1000, ..QueuePolicy::default() });
    rig.serve(2, ONE);
    rig.script.build_blocked.store(Script::ALL, Ordering::SeqCst);
    assert!(rig.pool.ensure(2, THREE));
    assert!(rig.pool.ensure(3, THREE));
    assert_eq!(rig.pool.warming(), Some((0, 3)));
    rig.script.build_blocked.store(0, Ordering::SeqCst);
    let event = rig.events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(event, PoolEvent::Built(report) if report.setup == THREE), "{event:?}");
    assert_eq!(rig.pool.seats().serving, 3);
    rig.until("the old ones end", |pool| pool.members().len() == 9);
    assert_eq!(rig.events.try_recv().ok(), None, "the batch is reported once");
}

#[test]
fn abandoned_width_never_takes_over() {
    let rig = rig(QueuePolicy { limit: 1000, ..QueuePolicy::default() });
    rig.serve(2, ONE);
    rig.script.build_blocked.store(Script::ALL, Ordering::SeqCst);
    assert!(rig.pool.ensure(2, THREE));
    assert!(rig.pool.ensure(3, THREE));
    assert!(rig.pool.ensure(3, ONE), "one more of the old width");
    rig.script.build_blocked.store(0, Ordering::SeqCst);
    let event = rig.events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(event, PoolEvent::Built(report) if report.setup == ONE), "{event:?}");
    rig.until("the abandoned instances end", |pool| {
        (pool.seats().others, pool.members().len(), rig.script.builds().0) == (0, 3, 0)
    });
    assert_eq!((rig.pool.seats().serving, rig.pool.setup()), (3, Some(ONE)));
    assert_eq!(kinds(&rig.submit(50)), HashMap::from([("completed", 50)]));
    assert_eq!(rig.events.try_recv().ok(), None);
}

#[test]
fn one_failed_build_ends_its_generation() {
    let rig = rig(QueuePolicy { limit: 1000, ..QueuePolicy::default() });
    rig.serve(1, ONE);
    rig.script.build_blocked.store(Script::ALL, Ordering::SeqCst);
    assert!(rig.pool.ensure(2, THREE));
    assert!(rig.pool.ensure(4, THREE));
    rig.script.build_fails.store(true, Ordering::SeqCst);
    rig.script.build_blocked.store(0, Ordering::SeqCst);
    let event = rig.events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(event, PoolEvent::BuildFailed { setup: THREE, .. }), "{event:?}");
    assert_eq!((rig.pool.warming(), rig.pool.setup()), (None, Some(ONE)));
    rig.script.build_fails.store(false, Ordering::SeqCst);
    rig.serve(2, THREE);
    rig.until("the new width serves", |pool| pool.members().len() == 6);
    assert_eq!(kinds(&rig.submit(50)), HashMap::from([("completed", 50)]));
}

#[test]
fn panic_during_a_build_is_a_failed_build() {
    let rig = rig(QueuePolicy { limit: 1000, ..QueuePolicy::default() });
    rig.serve(1, ONE);
    rig.script.build_panics.store(true, Ordering::SeqCst);
    assert!(rig.pool.ensure(1, THREE));
    match rig.events.recv_timeout(PATIENCE).unwrap() {
        PoolEvent::BuildFailed { reason, .. } => {
            assert!(reason.contains("the engine panicked: the script says so"), "{reason}");
        }
        event => panic!("{event:?}"),
    }
    assert_eq!(rig.pool.warming(), None);
    assert_eq!(kinds(&rig.submit(20)), HashMap::from([("completed", 20)]));
}

#[test]
fn instance_under_repair_is_not_missing() {
    let rig = rig(QueuePolicy { limit: 1000, ..QueuePolicy::default() });
    rig.serve(1, ONE);
    rig.script.build_blocked.store(Script::ALL, Ordering::SeqCst);
    rig.script.panic_every.store(1, Ordering::SeqCst);
    assert_eq!(kinds(&rig.submit(1)), HashMap::from([("panicked", 1)]));
    rig.script.panic_every.store(0, Ordering::SeqCst);
    let seats = rig.pool.seats();
    assert_eq!((seats.serving, seats.repairing, seats.others), (0, 1, 0));
    assert!(seats.any());
    assert!(!rig.pool.ensure(1, ONE), "it comes back by itself");
    let outcomes = rig.submit(3);
    rig.script.build_blocked.store(0, Ordering::SeqCst);
    assert_eq!(kinds(&outcomes), HashMap::from([("completed", 3)]));
    assert_eq!((rig.pool.seats().serving, rig.built()), (1, 2));
}
