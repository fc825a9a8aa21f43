//! Model checking of the pool's protocol: the shipped files of the gate and `build.rs` over shuttle's
//! locks, atomics and channels, so that the checker decides every thread switch. It checks in every
//! interleaving that it tries: each job is answered exactly once, none starts above the bound, no
//! wake-up is lost (a lost one shows as a deadlock), and the counts balance.

#![allow(dead_code, unused_imports, missing_docs, unreachable_pub)]
#![allow(clippy::pedantic, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "gate_model/batches.rs"]
mod batches;
#[path = "gate_model/departures.rs"]
mod departures;
#[path = "gate_model/generations.rs"]
mod generations;
#[path = "gate_model/holds.rs"]
mod holds;
#[path = "gate_model/places.rs"]
mod places;
#[path = "gate_model/runs.rs"]
mod runs;
#[path = "gate_model/sync.rs"]
mod sync;
#[path = "gate_model/world.rs"]
mod world;

mod event {
    pub(crate) use divvy::pool::{BatchId, BuildReport, PoolEvent};
}
/// The parts of a pool that a batch needs.
mod inner {
    use shuttle::sync::{Arc, Mutex};

    use super::build_places::BuildPlaces;
    use super::gate::Gate;
    use divvy::pool::PoolEvent;

    pub(crate) struct Inner {
        pub gate: Arc<Gate<usize>>,
        pub events: Mutex<Vec<PoolEvent>>,
        pub places: Arc<BuildPlaces>,
    }

    impl Inner {
        pub(crate) fn report(&self, event: PoolEvent) {
            self.events.lock().unwrap().push(event);
        }

        pub(crate) fn wake_builders(&self) {
            self.places.wake(0);
        }
    }
}
#[path = "../src/pool/build.rs"]
mod build;
#[path = "../src/pool/build_places.rs"]
mod build_places;
#[path = "../src/pool/gate.rs"]
mod gate;
#[path = "../src/pool/gate_flags.rs"]
mod gate_flags;
#[path = "../src/pool/gate_seats.rs"]
mod gate_seats;
#[path = "../src/pool/gate_state.rs"]
mod gate_state;
#[path = "../src/pool/job_queue.rs"]
mod job_queue;
#[path = "../src/pool/published_counts.rs"]
mod published_counts;
#[path = "../src/pool/rejection.rs"]
mod rejection;
#[path = "../src/pool/seat_table.rs"]
mod seat_table;

use std::time::{Duration, Instant};

use batches::{
    a_batch_that_grows_fails_whole, a_batch_that_grows_is_superseded_whole,
    a_batch_that_grows_takes_over_whole, a_batch_that_shrinks_takes_over_whole,
};
use departures::{callers_go_away, late_jobs_expire, submit_cancel_expire_close};
use divvy::layout::{Overflow, QueuePolicy};
use divvy::{engine, layout, telemetry};
use event::{BatchId, BuildReport, PoolEvent};
use gate::{Ended, Gate, JobTerms, Next, Present, Submitted};
use generations::{
    a_generation_takes_over, an_abandoned_generation_ends, generation_serves_or_is_abandoned,
    sleepers_are_trimmed, surplus_seats_end,
};
use holds::{
    a_held_job_runs_before_the_end, a_lifted_limit_frees_held_jobs, held_jobs_are_rejected,
    held_jobs_end_where_they_wait, held_jobs_run_when_released, held_jobs_survive_a_take_over,
    urgent_held_jobs_run_first,
};
use inner::Inner;
use places::{a_superseded_batch_frees_its_places, places_are_shared, trials_do_not_overlap};
use runs::runs_of_several_jobs;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;
use world::{World, join};

/// Interleavings tried at random for each scenario.
const RANDOM: usize = 3_000;
/// Interleavings tried in depth-first order for the small scenarios; the bound of "all".
const EXHAUSTIVE: usize = 60_000;

fn now() -> Present {
    let now = Instant::now();
    Present { running: now, callers: now }
}

fn one_seat_two_callers() {
    let world = World::new(2, 8, None, Overflow::Reject);
    world.gate.set_bound(1);
    let worker = world.work(0, &[]);
    let callers = (0..2)
        .map(|job| {
            let world = world.clone();
            thread::spawn(move || {
                world.submit(job);
            })
        })
        .collect();
    join(callers);
    world.gate.close();
    worker.join().unwrap();
    assert_eq!(world.most.load(Ordering::SeqCst), 1);
    world.settle();
}

fn bound_moves_under_load() {
    let world = World::new(4, 8, None, Overflow::Reject);
    world.gate.set_bound(1);
    let mut threads = vec![world.work(0, &[]), world.work(0, &[])];
    let caller = {
        let world = world.clone();
        thread::spawn(move || world.submit_all(4))
    };
    world.gate.set_bound(0);
    // With nothing running below the new bound, nothing may start.
    while world.gate.counts().executing > 0 {
        thread::yield_now();
    }
    assert_eq!(world.running.load(Ordering::SeqCst), 0);
    world.most.store(0, Ordering::SeqCst);
    thread::yield_now();
    assert_eq!(world.most.load(Ordering::SeqCst), 0, "started above a bound of 0");
    world.gate.set_bound(2);
    caller.join().unwrap();
    world.gate.close();
    join(std::mem::take(&mut threads));
    assert!(world.most.load(Ordering::SeqCst) <= 2);
    world.settle();
}

fn a_broken_seat_is_replaced() {
    let world = World::new(3, 8, None, Overflow::Reject);
    world.gate.set_bound(1);
    let workers = vec![world.work(0, &[0, 1]), world.work(0, &[1, 2])];
    world.submit_all(3);
    while world.gate.counts().completed + world.gate.counts().failed < 3 {
        thread::yield_now();
    }
    world.gate.close();
    join(workers);
    world.settle();
}

fn callers_cancel_or_time_out() {
    let world = World::new(4, 1, Some(Duration::ZERO), Overflow::Block);
    let worker = world.work(0, &[]);
    let cancelling = {
        let world = world.clone();
        thread::spawn(move || {
            for job in 0..2 {
                let id = world.submit(job);
                if let Some(job) = id.and_then(|id| world.gate.cancel(id)) {
                    world.answer(job);
                }
            }
        })
    };
    let expiring = {
        let world = world.clone();
        thread::spawn(move || {
            for job in 2..4 {
                world.submit(job);
                for late in world.gate.expire(now()) {
                    world.answer(late.job);
                }
            }
        })
    };
    world.gate.set_bound(1);
    cancelling.join().unwrap();
    expiring.join().unwrap();
    world.gate.close();
    worker.join().unwrap();
    world.settle();
}

/// A caller that finds the lock taken leaves its job in the inbox, and the holder of the lock hands it
/// over, without a further call.
fn inbox_jobs_reach_a_seat() {
    let world = World::new(3, 8, None, Overflow::Reject);
    world.gate.set_bound(2);
    let workers = vec![world.work(0, &[]), world.work(0, &[])];
    let callers = (0..3)
        .map(|job| {
            let world = world.clone();
            thread::spawn(move || {
                world.submit(job);
            })
        })
        .collect();
    join(callers);
    while world.gate.counts().completed < 3 {
        thread::yield_now();
    }
    world.gate.close();
    join(workers);
    assert!(world.most.load(Ordering::SeqCst) <= 2);
    world.settle();
}

/// Two callers submit jobs of two priorities at the same time, and some reach the inbox only: the
/// higher priority runs first, and jobs of one caller and priority run in order.
fn higher_priorities_run_first() {
    let world = World::new(4, 8, None, Overflow::Reject);
    let worker = world.work(0, &[]);
    let callers = [[0, 1], [2, 3]].map(|jobs| {
        let world = world.clone();
        thread::spawn(move || {
            for job in jobs {
                // The odd ones are urgent.
                let priority = (job % 2) as i8;
                world.submit_with(job, JobTerms { priority, ..Instant::now().into() });
            }
        })
    });
    join(callers.into());
    world.gate.set_bound(1);
    world.gate.close();
    worker.join().unwrap();
    let started = world.started.lock().unwrap().clone();
    assert!(started[..2].iter().all(|job| job % 2 == 1), "{started:?}");
    world.settle();
}

/// The limit holds with callers that submit at the same time, whether or not they get the lock.
fn the_queue_limit_is_exact() {
    let world = World::new(4, 1, None, Overflow::Reject);
    world.gate.set_bound(0);
    let callers = (0..4)
        .map(|job| {
            let world = world.clone();
            thread::spawn(move || {
                world.submit(job);
            })
        })
        .collect();
    join(callers);
    let counts = world.gate.counts();
    assert_eq!((counts.queued, counts.rejected), (1, 3));
    world.gate.close();
    for away in world.gate.reject_waiting(u64::MAX) {
        world.answer(away.job);
    }
    world.settle();
}

/// A seat's thread ends without having ended its seat: a job that was handed to it goes to another.
fn a_dead_seats_job_goes_on() {
    let world = World::new(2, 8, None, Overflow::Reject);
    world.gate.set_bound(2);
    let dying = {
        let world = world.clone();
        thread::spawn(move || {
            let seat = world.gate.enter(0);
            thread::yield_now();
            world.gate.suspend(seat);
            world.gate.remove(seat);
        })
    };
    let worker = world.work(0, &[]);
    let caller = {
        let world = world.clone();
        thread::spawn(move || world.submit_all(2))
    };
    dying.join().unwrap();
    caller.join().unwrap();
    while world.gate.counts().completed < 2 {
        thread::yield_now();
    }
    world.gate.close();
    worker.join().unwrap();
    world.settle();
}

/// Counts balance whenever they are read, and contain every job whose submission has returned.
fn counts_balance_at_any_time() {
    let world = World::new(3, 1, None, Overflow::Block);
    world.gate.set_bound(1);
    let worker = world.work(0, &[1]);
    let caller = {
        let world = world.clone();
        thread::spawn(move || {
            for job in 0..3 {
                world.submit(job);
                assert!(world.gate.counts().submitted > job as u64);
            }
        })
    };
    let mut ended = 0;
    while ended < 3 {
        let counts = world.gate.counts();
        assert!(counts.balanced());
        assert!(counts.executing <= 1 && counts.queued <= 1, "{counts:?}");
        ended = counts.completed + counts.failed;
        thread::yield_now();
    }
    caller.join().unwrap();
    world.gate.close();
    worker.join().unwrap();
    world.settle();
}

fn shutdown_rejects_jobs_that_cannot_run() {
    let world = World::new(4, 2, None, Overflow::Block);
    // Paused: the bound stays 0, so two jobs queue, two are blocked.
    let worker = world.work(0, &[]);
    let caller = {
        let world = world.clone();
        thread::spawn(move || world.submit_all(4))
    };
    world.gate.close();
    caller.join().unwrap();
    for away in world.gate.reject_waiting(u64::MAX) {
        world.answer(away.job);
    }
    worker.join().unwrap();
    world.settle();
}

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        mod random {
            $(#[test]
            fn $name() {
                shuttle::check_random(super::$name, super::RANDOM);
            })*
        }
    };
}

scenarios!(
    one_seat_two_callers,
    bound_moves_under_load,
    a_generation_takes_over,
    an_abandoned_generation_ends,
    a_broken_seat_is_replaced,
    callers_cancel_or_time_out,
    submit_cancel_expire_close,
    inbox_jobs_reach_a_seat,
    higher_priorities_run_first,
    callers_go_away,
    late_jobs_expire,
    the_queue_limit_is_exact,
    a_dead_seats_job_goes_on,
    counts_balance_at_any_time,
    shutdown_rejects_jobs_that_cannot_run,
    sleepers_are_trimmed,
    surplus_seats_end,
    generation_serves_or_is_abandoned,
    a_batch_that_grows_takes_over_whole,
    a_batch_that_grows_fails_whole,
    a_batch_that_grows_is_superseded_whole,
    a_batch_that_shrinks_takes_over_whole,
    a_held_job_runs_before_the_end,
    held_jobs_run_when_released,
    held_jobs_end_where_they_wait,
    held_jobs_are_rejected,
    held_jobs_survive_a_take_over,
    a_lifted_limit_frees_held_jobs,
    urgent_held_jobs_run_first,
    runs_of_several_jobs,
    places_are_shared,
    trials_do_not_overlap,
    a_superseded_batch_frees_its_places,
);

mod exhaustive {
    #[test]
    fn one_seat_two_callers() {
        shuttle::check_dfs(super::one_seat_two_callers, Some(super::EXHAUSTIVE));
    }

    #[test]
    fn an_abandoned_generation_ends() {
        shuttle::check_dfs(super::an_abandoned_generation_ends, Some(super::EXHAUSTIVE));
    }

    #[test]
    fn a_held_job_runs_before_the_end() {
        shuttle::check_dfs(super::a_held_job_runs_before_the_end, Some(super::EXHAUSTIVE));
    }

    #[test]
    fn the_queue_limit_is_exact() {
        shuttle::check_dfs(super::the_queue_limit_is_exact, Some(super::EXHAUSTIVE));
    }

    #[test]
    fn shutdown_rejects_jobs_that_cannot_run() {
        shuttle::check_dfs(super::shutdown_rejects_jobs_that_cannot_run, Some(super::EXHAUSTIVE));
    }
}
