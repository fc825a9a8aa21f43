//! Scenarios of jobs that may not start when a seat takes them: the gate holds them until a release.

use std::time::Instant;

use divvy::layout::Overflow;
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

use crate::gate::{Ended, JobTerms, Next, Present, Waiting};
use crate::world::{World, join};

/// The rule of a model with a memory limit: of the first jobs, one may run at a time.
struct Rule {
    limited: usize,
    state: Mutex<RuleState>,
}

#[derive(Default)]
struct RuleState {
    running: usize,
    has_refused: bool,
    is_lifted: bool,
    most: usize,
}

impl Rule {
    fn start(&self, job: usize) -> bool {
        let mut state = self.state.lock().unwrap();
        if job >= self.limited || state.is_lifted {
            return true;
        }
        if state.running > 0 {
            state.has_refused = true;
            return false;
        }
        state.running += 1;
        state.most = state.most.max(state.running);
        true
    }

    /// Ends a run. Returns true if refused jobs are to be released.
    fn end(&self, job: usize) -> bool {
        let mut state = self.state.lock().unwrap();
        if job >= self.limited {
            return false;
        }
        state.running = state.running.saturating_sub(1);
        std::mem::take(&mut state.has_refused)
    }

    fn lift(&self) {
        self.state.lock().unwrap().is_lifted = true;
    }

    fn most(&self) -> usize {
        self.state.lock().unwrap().most
    }
}

/// A worker that follows the rule.
fn work(world: &Arc<World>, rule: &Arc<Rule>, generation: u64) -> thread::JoinHandle<()> {
    let (world, rule) = (world.clone(), rule.clone());
    thread::spawn(move || {
        let seat = world.gate.enter(generation);
        let waiter = world.gate.waiter(seat).unwrap();
        let mut next = None;
        loop {
            let waiting: Waiting<usize> = match next.take() {
                Some(waiting) => waiting,
                None => match world.gate.take(&waiter) {
                    Next::Job(waiting) => waiting,
                    Next::Retire => return,
                },
            };
            let job = waiting.job;
            let releases = world.gate.releases();
            if !rule.start(job) {
                next = match world.gate.hold(seat, waiting, releases) {
                    Ok(next) => next,
                    Err(rejected) => {
                        let next = world.gate.finish(seat, [Ended::Rejected]);
                        world.answer(rejected.job);
                        next
                    }
                };
                continue;
            }
            world.started.lock().unwrap().push(job);
            thread::yield_now();
            if rule.end(job) {
                world.gate.release();
            }
            next = world.gate.finish(seat, [Ended::Completed]);
            world.answer(job);
        }
    })
}

/// A gate with two seats for some jobs, the first of which are limited.
fn world(jobs: usize, limited: usize) -> (Arc<World>, Arc<Rule>) {
    let world = World::new(jobs, 8, None, Overflow::Reject);
    world.gate.set_bound(2);
    (world, Arc::new(Rule { limited, state: Mutex::default() }))
}

/// Three jobs of which one may run at a time, and one that may run beside them: all run, and no release is
/// lost between the decision and the hold.
pub(crate) fn held_jobs_run_when_released() {
    let (world, rule) = world(4, 3);
    let workers = vec![work(&world, &rule, 0), work(&world, &rule, 0)];
    world.submit_all(4);
    while world.gate.counts().completed < 4 {
        assert!(world.gate.counts().balanced());
        thread::yield_now();
    }
    world.gate.close();
    join(workers);
    assert_eq!(rule.most(), 1);
    world.settle();
}

/// One of two jobs may run at a time: a closed gate runs both, and its seats end.
pub(crate) fn a_held_job_runs_before_the_end() {
    let (world, rule) = world(2, 2);
    let workers = vec![work(&world, &rule, 0), work(&world, &rule, 0)];
    world.submit_all(2);
    world.gate.close();
    join(workers);
    assert_eq!(rule.most(), 1);
    world.settle();
}

/// Held jobs are cancelled and expire, and the seats end.
pub(crate) fn held_jobs_end_where_they_wait() {
    let (world, rule) = world(4, 4);
    let workers = vec![work(&world, &rule, 0), work(&world, &rule, 0)];
    let cancelling = {
        let world = world.clone();
        thread::spawn(move || {
            let ids: Vec<_> = [0, 1].into_iter().filter_map(|job| world.submit(job)).collect();
            for id in ids.into_iter().rev() {
                world.gate.cancel(id).into_iter().for_each(|job| world.answer(job));
            }
        })
    };
    let expiring = {
        let world = world.clone();
        thread::spawn(move || {
            for job in [2, 3] {
                let deadline = Some(Instant::now());
                world.submit_with(job, JobTerms { deadline, ..Instant::now().into() });
            }
            let now = Instant::now();
            for late in world.gate.expire(Present { running: now, callers: now }) {
                world.answer(late.job);
            }
        })
    };
    cancelling.join().unwrap();
    expiring.join().unwrap();
    world.gate.close();
    join(workers);
    world.settle();
}

/// A job that is held after the waiting jobs were rejected is rejected too, so that the seats of a closed
/// gate end even if nothing may start any more.
pub(crate) fn held_jobs_are_rejected() {
    let (world, rule) = world(3, 2);
    let workers = vec![work(&world, &rule, 0), work(&world, &rule, 0)];
    world.submit_all(3);
    world.gate.close();
    world.gate.set_bound(0);
    for rejected in world.gate.reject_waiting(world.gate.next_job()) {
        world.answer(rejected.job);
    }
    join(workers);
    world.settle();
}

/// A generation takes over while its predecessor's seats hold jobs.
pub(crate) fn held_jobs_survive_a_take_over() {
    let (world, rule) = world(4, 3);
    let old = vec![work(&world, &rule, 0), work(&world, &rule, 0)];
    let caller = {
        let world = world.clone();
        thread::spawn(move || world.submit_all(4))
    };
    let new = work(&world, &rule, 1);
    world.gate.serve(1);
    join(old);
    caller.join().unwrap();
    world.gate.close();
    new.join().unwrap();
    assert_eq!(rule.most(), 1);
    world.settle();
}

/// The rule ends while jobs are held or about to be: nobody has to wait for a run.
pub(crate) fn a_lifted_limit_frees_held_jobs() {
    let (world, rule) = world(3, 2);
    // A run that never ends.
    assert!(rule.start(0));
    let workers = vec![work(&world, &rule, 0), work(&world, &rule, 0)];
    let caller = {
        let world = world.clone();
        thread::spawn(move || world.submit_all(3))
    };
    rule.lift();
    world.gate.release();
    caller.join().unwrap();
    while world.gate.counts().completed < 3 {
        thread::yield_now();
    }
    world.gate.close();
    join(workers);
    world.settle();
}

/// Held jobs keep their order, and a job of a higher priority goes before them.
pub(crate) fn urgent_held_jobs_run_first() {
    let (world, rule) = world(4, 2);
    // A run that is under way, so that both are held at first.
    assert!(rule.start(0));
    let worker = work(&world, &rule, 0);
    world.submit_all(3);
    while world.gate.counts().completed < 1 {
        thread::yield_now();
    }
    world.gate.set_bound(0);
    world.submit_with(3, JobTerms { priority: 1, ..Instant::now().into() });
    if rule.end(0) {
        world.gate.release();
    }
    world.gate.set_bound(1);
    world.gate.close();
    worker.join().unwrap();
    assert_eq!(*world.started.lock().unwrap(), [2, 3, 0, 1]);
    world.settle();
}
