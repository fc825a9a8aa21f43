//! Jobs that leave the queue before a seat takes them: cancelled, late, or without a caller.

use std::time::{Duration, Instant};

use divvy::layout::Overflow;
use shuttle::thread;

use crate::gate::JobTerms;
use crate::now;
use crate::world::{World, join};

/// Submitting, cancelling, expiring and closing together: the seat ends by itself although nobody but
/// `cancel` or `expire` empties the queue, and each job is answered once.
pub(crate) fn submit_cancel_expire_close() {
    let world = World::new(3, 1, Some(Duration::ZERO), Overflow::Block);
    let worker = world.work(0, &[]);
    let cancelling = {
        let world = world.clone();
        thread::spawn(move || {
            let ids: Vec<_> = (0..2).filter_map(|job| world.submit(job)).collect();
            for id in ids.into_iter().rev() {
                world.gate.cancel(id).into_iter().for_each(|job| world.answer(job));
            }
        })
    };
    let expiring = {
        let world = world.clone();
        thread::spawn(move || {
            world.submit(2);
            // One that fails because of the lock is repeated, as the housekeeper does.
            while world.gate.counts().queued + world.gate.counts().blocked > 0 {
                for late in world.gate.expire(now()) {
                    world.answer(late.job);
                }
                thread::yield_now();
            }
        })
    };
    world.gate.close();
    cancelling.join().unwrap();
    expiring.join().unwrap();
    // The bound stays 0.
    worker.join().unwrap();
    world.settle();
}

/// Jobs whose deadline has passed are removed wherever they are, while others are submitted and run,
/// and a job without one is not.
pub(crate) fn late_jobs_expire() {
    let world = World::new(4, 8, None, Overflow::Reject);
    let caller = {
        let world = world.clone();
        thread::spawn(move || {
            for job in 0..4 {
                let deadline = (job % 2 == 1).then(Instant::now);
                world.submit_with(job, JobTerms { deadline, ..Instant::now().into() });
            }
        })
    };
    while world.gate.counts().timed_out < 2 {
        for late in world.gate.expire(now()) {
            assert_eq!(late.job % 2, 1);
            world.answer(late.job);
        }
        thread::yield_now();
    }
    caller.join().unwrap();
    world.gate.set_bound(1);
    let worker = world.work(0, &[]);
    world.gate.close();
    worker.join().unwrap();
    assert_eq!(*world.started.lock().unwrap(), [0, 2]);
    world.settle();
}

/// Callers go away while their jobs are taken: each job runs or is cancelled, and a caller that finds the
/// lock taken has its job removed by the holder.
pub(crate) fn callers_go_away() {
    let world = World::new(3, 8, None, Overflow::Reject);
    let worker = world.work(0, &[]);
    let callers = (0..3)
        .map(|job| {
            let world = world.clone();
            thread::spawn(move || {
                let id = world.submit(job).unwrap();
                world.gate.discard(id);
            })
        })
        .collect();
    world.gate.set_bound(1);
    join(callers);
    world.gate.close();
    worker.join().unwrap();
    let counts = world.gate.counts();
    assert!(counts.balanced());
    assert_eq!(counts.queued + counts.executing, 0);
    assert_eq!(counts.completed + counts.cancelled, 3);
    assert_eq!(world.started.lock().unwrap().len() as u64, counts.completed);
}
