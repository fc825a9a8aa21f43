//! Scenarios of generations that take over or are abandoned, and of seats that end.

use divvy::layout::Overflow;
use shuttle::sync::atomic::Ordering;
use shuttle::thread;

use crate::world::{World, join};

pub(crate) fn a_generation_takes_over() {
    let world = World::new(4, 8, None, Overflow::Reject);
    world.gate.set_bound(1);
    let old = world.work(0, &[]);
    let caller = {
        let world = world.clone();
        thread::spawn(move || world.submit_all(4))
    };
    let new = world.work(1, &[]);
    world.gate.serve(1);
    // The old seat ends by itself, without the gate being closed.
    old.join().unwrap();
    caller.join().unwrap();
    world.gate.close();
    new.join().unwrap();
    assert_eq!(world.most.load(Ordering::SeqCst), 1, "old and new never ran together");
    world.settle();
}

pub(crate) fn an_abandoned_generation_ends() {
    let world = World::new(2, 8, None, Overflow::Reject);
    world.gate.set_bound(1);
    let old = world.work(0, &[]);
    let never = world.work(1, &[]);
    world.gate.abandon(1);
    never.join().unwrap();
    world.submit(0);
    world.submit(1);
    world.gate.close();
    old.join().unwrap();
    world.settle();
}

pub(crate) fn sleepers_are_trimmed() {
    let world = World::new(3, 8, None, Overflow::Reject);
    world.gate.set_bound(2);
    let workers = vec![world.work(0, &[]), world.work(0, &[])];
    let caller = {
        let world = world.clone();
        thread::spawn(move || world.submit_all(3))
    };
    world.gate.set_bound(1);
    world.gate.trim(1);
    caller.join().unwrap();
    world.gate.close();
    join(workers);
    world.settle();
}

/// When the bound falls, the seats beyond it end by themselves, whether they are asleep, busy or
/// broken. The rest keep serving.
pub(crate) fn surplus_seats_end() {
    let world = World::new(3, 8, None, Overflow::Reject);
    world.gate.set_bound(2);
    let workers = vec![world.work(0, &[1]), world.work(0, &[1])];
    while world.gate.seats().serving < 2 {
        thread::yield_now();
    }
    let caller = {
        let world = world.clone();
        thread::spawn(move || world.submit_all(3))
    };
    world.gate.set_bound(1);
    world.gate.trim(1);
    caller.join().unwrap();
    while world.gate.counts().executing + world.gate.counts().queued > 0
        || world.gate.seats().repairing > 0
        || world.gate.seats().serving > 1
    {
        thread::yield_now();
    }
    assert_eq!(world.gate.seats().serving, 1);
    world.gate.close();
    join(workers);
    world.settle();
}

/// A generation is abandoned while it takes over: one of the two happens, and some seat serves.
pub(crate) fn generation_serves_or_is_abandoned() {
    let world = World::new(2, 8, None, Overflow::Reject);
    world.gate.set_bound(1);
    let workers = vec![world.work(0, &[]), world.work(1, &[])];
    let serving = {
        let world = world.clone();
        thread::spawn(move || world.gate.serve(1))
    };
    world.gate.abandon(1);
    let serves = serving.join().unwrap();
    assert_eq!(world.gate.seats().generation, u64::from(serves));
    assert!(!world.gate.serve(1) || serves, "an abandoned generation never serves");
    world.submit_all(2);
    while world.gate.counts().completed < 2 {
        thread::yield_now();
    }
    assert_eq!(world.gate.seats().serving, 1);
    world.gate.close();
    join(workers);
    world.settle();
}
