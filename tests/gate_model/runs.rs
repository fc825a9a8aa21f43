//! Scenarios of runs of several jobs: a seat that got a job takes more into the same run. The instances take
//! one job each so far; these scenarios show that the protocol allows more.

use divvy::layout::Overflow;
use shuttle::sync::Arc;
use shuttle::sync::atomic::Ordering;
use shuttle::thread;

use crate::gate::{Ended, Next, Waiting};
use crate::world::{World, join};

/// The jobs of the largest run.
const LARGEST: usize = 3;

/// A worker that runs up to [`LARGEST`] jobs at once. A run with a job in `breaks` breaks its instance.
fn work(world: &Arc<World>, breaks: &'static [usize]) -> thread::JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || {
        let seat = world.gate.enter(0);
        let waiter = world.gate.waiter(seat).unwrap();
        let mut next: Option<Waiting<usize>> = None;
        loop {
            let first = match next.take() {
                Some(waiting) => waiting,
                None => match world.gate.take(&waiter) {
                    Next::Job(waiting) => waiting,
                    Next::Retire => return,
                },
            };
            let more = world.gate.change(|state| {
                std::iter::from_fn(|| state.pop(&world.gate.flags)).take(LARGEST - 1).collect()
            });
            let jobs: Vec<usize> =
                [first].into_iter().chain::<Vec<_>>(more).map(|waiting| waiting.job).collect();
            let running = world.running.fetch_add(1, Ordering::SeqCst) + 1;
            world.most.fetch_max(running, Ordering::SeqCst);
            thread::yield_now();
            world.running.fetch_sub(1, Ordering::SeqCst);
            if jobs.iter().any(|job| breaks.contains(job)) {
                world.gate.mark_broken(seat, jobs.iter().map(|_| Ended::Failed));
                world.gate.repair(seat);
            } else {
                next = world.gate.finish(seat, jobs.iter().map(|_| Ended::Completed));
            }
            jobs.into_iter().for_each(|job| world.answer(job));
        }
    })
}

/// Two seats run six jobs in runs of up to three, while callers submit and cancel: the bound holds for
/// runs, the counts for jobs.
pub(crate) fn runs_of_several_jobs() {
    let world = World::new(6, 8, None, Overflow::Reject);
    world.gate.set_bound(1);
    let workers = vec![work(&world, &[4]), work(&world, &[4])];
    let callers = [0..3, 3..6].map(|jobs| {
        let world = world.clone();
        thread::spawn(move || {
            for job in jobs {
                let id = world.submit(job);
                if let Some(job) = id.filter(|_| job == 1).and_then(|id| world.gate.cancel(id)) {
                    world.answer(job);
                }
                let counts = world.gate.counts();
                assert!(counts.balanced() && counts.executing <= LARGEST as u64, "{counts:?}");
            }
        })
    });
    join(callers.into());
    world.gate.close();
    join(workers);
    assert_eq!(world.most.load(Ordering::SeqCst), 1);
    world.settle();
}
