//! A gate with its callers and seats, and the checks that hold in every interleaving.

use std::time::{Duration, Instant};

use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

use crate::gate::{Ended, Gate, JobTerms, Next, Submitted};
use divvy::layout::{Overflow, QueuePolicy};

/// A gate and what happened to its jobs.
pub(crate) struct World {
    pub(crate) gate: Arc<Gate<usize>>,
    /// The number of answers per job.
    pub(crate) answers: Vec<AtomicUsize>,
    /// The jobs that ran, in order of their start.
    pub(crate) started: Mutex<Vec<usize>>,
    pub(crate) running: AtomicUsize,
    pub(crate) most: AtomicUsize,
}

impl World {
    pub(crate) fn new(
        jobs: usize,
        limit: usize,
        timeout: Option<Duration>,
        overflow: Overflow,
    ) -> Arc<Self> {
        Arc::new(Self {
            gate: Arc::new(Gate::new(QueuePolicy {
                limit,
                timeout,
                overflow,
                ..QueuePolicy::default()
            })),
            answers: (0..jobs).map(|_| AtomicUsize::new(0)).collect(),
            started: Mutex::new(Vec::new()),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        })
    }

    pub(crate) fn answer(&self, job: usize) {
        self.answers[job].fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn submit(&self, job: usize) -> Option<u64> {
        self.submit_with(job, Instant::now().into())
    }

    pub(crate) fn submit_with(&self, job: usize, terms: JobTerms) -> Option<u64> {
        match self.gate.submit(job, terms) {
            Submitted::Accepted(id) => Some(id),
            Submitted::Rejected(job, _) => {
                self.answer(job);
                None
            }
        }
    }

    pub(crate) fn submit_all(&self, jobs: usize) {
        for job in 0..jobs {
            self.submit(job);
        }
    }

    /// A worker: takes jobs until it is retired. Its instance breaks after the jobs in `breaks`.
    pub(crate) fn work(
        self: &Arc<Self>,
        generation: u64,
        breaks: &'static [usize],
    ) -> thread::JoinHandle<()> {
        self.work_once(generation, breaks, || {})
    }

    /// A worker that calls `seated` when it has its seat.
    pub(crate) fn work_once(
        self: &Arc<Self>,
        generation: u64,
        breaks: &'static [usize],
        seated: impl FnOnce() + Send + 'static,
    ) -> thread::JoinHandle<()> {
        let world = self.clone();
        thread::spawn(move || {
            let seat = world.gate.enter(generation);
            seated();
            let waiter = world.gate.waiter(seat).unwrap();
            let mut next = None;
            loop {
                let waiting = match next.take() {
                    Some(waiting) => waiting,
                    None => match world.gate.take(&waiter) {
                        Next::Job(waiting) => waiting,
                        Next::Retire => return,
                    },
                };
                let running = world.running.fetch_add(1, Ordering::SeqCst) + 1;
                world.most.fetch_max(running, Ordering::SeqCst);
                thread::yield_now();
                world.running.fetch_sub(1, Ordering::SeqCst);
                let job: usize = waiting.job;
                world.started.lock().unwrap().push(job);
                if breaks.contains(&job) {
                    world.gate.mark_broken(seat, [Ended::Failed]);
                    world.answer(job);
                    world.gate.repair(seat);
                } else {
                    next = world.gate.finish(seat, [Ended::Completed]);
                    world.answer(job);
                }
            }
        })
    }

    pub(crate) fn settle(&self) {
        for (job, answers) in self.answers.iter().enumerate() {
            assert_eq!(answers.load(Ordering::SeqCst), 1, "job {job}");
        }
        let counts = self.gate.counts();
        assert_eq!(counts.queued + counts.blocked + counts.executing, 0);
        assert_eq!(
            counts.submitted,
            counts.completed
                + counts.rejected
                + counts.timed_out
                + counts.cancelled
                + counts.failed
        );
        assert_eq!(counts.submitted as usize, self.answers.len());
        let seats = self.gate.seats();
        assert_eq!((seats.serving, seats.others), (0, 0), "every seat has ended");
    }
}

/// Waits for all threads.
pub(crate) fn join(threads: Vec<thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}
