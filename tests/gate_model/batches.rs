//! Scenarios of batches of instances that grow while they are built.

use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

use crate::build::Build;
use crate::build_places::BuildStep;
use crate::event::{BatchId, PoolEvent};
use crate::gate::{Ended, Gate, Next};
use crate::inner::Inner;
use crate::world::{World, join};
use divvy::engine;
use divvy::layout::Overflow;

/// A batch of another width grows while it is built. Then it takes over as a whole, one of its
/// instances fails, or a newer batch replaces it: exactly one of these happens, and some seats
/// serve. In the end `check` gets whether the batch serves, and for each event whether it is
/// `Built`.
fn a_batch_grows(ends: impl Fn(&Inner, &Build), check: impl Fn(bool, &[bool])) {
    let world = World::new(2, 8, None, Overflow::Reject);
    world.gate.set_bound(2);
    let inner = Arc::new(Inner {
        gate: world.gate.clone(),
        events: Mutex::default(),
        places: Arc::default(),
    });
    let id = BatchId { batch: 1, generation: 1 };
    let batch = Arc::new(Build::new(id, engine::InstanceSetup::cpu(2), 1));
    let member = || {
        let (inner, batch) = (inner.clone(), batch.clone());
        world.work_once(1, &[], move || batch.ready(&inner))
    };
    let mut workers = vec![world.work(0, &[]), member()];
    let grew = batch.extend(1);
    if grew {
        workers.push(member());
    }
    ends(&inner, &batch);
    world.submit_all(2);
    while world.gate.counts().completed < 2 {
        thread::yield_now();
    }
    while batch.progress().is_some() {
        thread::yield_now();
    }
    let seats = world.gate.seats();
    match seats.generation {
        1 => assert_eq!(seats.serving, 1 + usize::from(grew), "it takes over whole"),
        _ => assert_eq!(seats.serving, 1, "the old one keeps serving"),
    }
    world.gate.close();
    join(workers);
    // Events are reported after the batch is over, so the list is complete only now.
    let events: Vec<bool> = inner
        .events
        .lock()
        .unwrap()
        .iter()
        .map(|event| matches!(event, PoolEvent::Built(_)))
        .collect();
    check(seats.generation == 1, &events);
    world.settle();
}

pub(crate) fn a_batch_that_grows_takes_over_whole() {
    a_batch_grows(|_, _| {}, |serves, built| assert_eq!((serves, built), (true, &[true][..])));
}

pub(crate) fn a_batch_that_grows_fails_whole() {
    a_batch_grows(
        |inner, batch| batch.fail(inner, "scripted".to_owned()),
        |serves, built| assert_eq!(built, [serves], "the event matches the result"),
    );
}

pub(crate) fn a_batch_that_grows_is_superseded_whole() {
    a_batch_grows(
        |inner, batch| batch.supersede(inner),
        |serves, built| assert_eq!(built, if serves { &[true][..] } else { &[] }),
    );
}

/// A batch of two instances shrinks to one while they are built: it takes over with those that have
/// started.
pub(crate) fn a_batch_that_shrinks_takes_over_whole() {
    let world = World::new(2, 8, None, Overflow::Reject);
    world.gate.set_bound(2);
    let inner = Arc::new(Inner {
        gate: world.gate.clone(),
        events: Mutex::default(),
        places: Arc::default(),
    });
    let id = BatchId { batch: 1, generation: 1 };
    let batch = Arc::new(Build::new(id, engine::InstanceSetup::cpu(2), 2));
    let old = world.work(0, &[]);
    let builders: Vec<_> = (0..2)
        .map(|_| {
            let (world, inner, batch) = (world.clone(), inner.clone(), batch.clone());
            thread::spawn(move || {
                let place = inner.places.take(0, BuildStep::Build, &|| !batch.needs_more());
                if place.is_some() && batch.start() {
                    drop(place);
                    let inner = inner.clone();
                    world.work_once(1, &[], move || batch.ready(&inner)).join().unwrap();
                }
            })
        })
        .collect();
    batch.shrink(&inner, 1);
    old.join().unwrap();
    world.submit_all(2);
    while world.gate.counts().completed < 2 {
        thread::yield_now();
    }
    assert!((1..=2).contains(&world.gate.seats().serving));
    assert_eq!(inner.events.lock().unwrap().len(), 1);
    world.gate.close();
    join(builders);
    world.settle();
}
