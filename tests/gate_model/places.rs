//! Scenarios of the places for builds.

use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

use crate::build::Build;
use crate::build_places::{BuildPlaces, BuildStep};
use crate::event::BatchId;
use crate::inner::Inner;
use crate::world::{World, join};
use divvy::engine;
use divvy::layout::Overflow;

/// Takes a place and returns it; no more than `most` threads have one at the same time.
fn step(places: &Arc<BuildPlaces>, pool: u64, step: BuildStep, now: &AtomicUsize, most: usize) {
    let place = places.take(pool, step, &|| false);
    assert!(place.is_some(), "it is not cancelled");
    assert!(now.fetch_add(1, Ordering::SeqCst) < most);
    thread::yield_now();
    now.fetch_sub(1, Ordering::SeqCst);
}

/// Four steps of two pools share two places, and each gets one.
pub(crate) fn places_are_shared() {
    let (places, now) = (Arc::new(BuildPlaces::new(2)), Arc::new(AtomicUsize::new(0)));
    let steps = (0..4)
        .map(|number| {
            let (places, now) = (places.clone(), now.clone());
            thread::spawn(move || step(&places, number % 2, BuildStep::Build, &now, 2))
        })
        .collect();
    join(steps);
}

/// Trials of one pool run one at a time, although there are places for all.
pub(crate) fn trials_do_not_overlap() {
    let (places, now) = (Arc::new(BuildPlaces::new(3)), Arc::new(AtomicUsize::new(0)));
    let steps = (0..3)
        .map(|_| {
            let (places, now) = (places.clone(), now.clone());
            thread::spawn(move || step(&places, 0, BuildStep::Trial, &now, 1))
        })
        .collect();
    join(steps);
}

/// A batch is superseded while its builds wait for the only place: they end, whether or not the place
/// becomes free, and another pool gets it.
pub(crate) fn a_superseded_batch_frees_its_places() {
    let world = World::new(0, 8, None, Overflow::Reject);
    let inner = Arc::new(Inner {
        gate: world.gate.clone(),
        events: Mutex::default(),
        places: Arc::new(BuildPlaces::new(1)),
    });
    let id = BatchId { batch: 1, generation: 1 };
    let batch = Arc::new(Build::new(id, engine::InstanceSetup::cpu(2), 2));
    let taken = inner.places.take(1, BuildStep::Build, &|| false);
    let is_superseded = Arc::new(AtomicBool::new(false));
    let waiting = (0..2)
        .map(|_| {
            let (inner, batch) = (inner.clone(), batch.clone());
            let is_superseded = is_superseded.clone();
            thread::spawn(move || {
                let place = inner.places.take(0, BuildStep::Build, &|| !batch.needs_more());
                assert!(is_superseded.load(Ordering::SeqCst));
                assert!(place.is_none() || !batch.start());
            })
        })
        .collect();
    is_superseded.store(true, Ordering::SeqCst);
    batch.supersede(&inner);
    join(waiting);
    drop(taken);
    assert!(inner.places.take(2, BuildStep::Build, &|| false).is_some());
}
