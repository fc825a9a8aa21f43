//! Requests of careless clients during random changes: every request has exactly one answer of a kind
//! that fits it, and no instance is rebuilt for a client's fault.
//!
//! A sample runs by default. `scripts/soak-requests` runs a million requests in ten thousand changes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs, dead_code)]

#[path = "scheduler/test_scheduler.rs"]
mod test_scheduler;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use divvy::engine::{NamedTensor, Tensor, TensorData};
use divvy::layout::{Auto, Change, CoreOwner, CoreRequest, CoreSelection, Edit, QueuePolicy};
use divvy::pool::{Outcome, Request, RequestError, RequestOptions};
use divvy::scheduler::{Control, Scheduler};
use divvy::telemetry::Author;

use test_scheduler::*;

const CORES: usize = 8;
const MODELS: [&str; 4] = ["a", "b", "c", "d"];
const CALLERS: u64 = 2;

/// Requests without an answer per caller, so that memory stays bounded.
const MOST_WAITING: usize = 2_000;

/// A client's fault, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The engine refuses the request.
    Bad,
    /// Cancelled right after it was sent.
    Cancelled,
    /// Its deadline has passed when it is sent.
    Late,
}

impl Fault {
    /// One request of a hundred has each fault.
    fn random(random: &mut fastrand::Rng) -> Self {
        match random.u8(0..100) {
            0 => Self::Bad,
            1 => Self::Cancelled,
            2 => Self::Late,
            _ => Self::None,
        }
    }

    /// Returns true if a request with this fault may end so.
    fn allows(self, outcome: &Outcome) -> bool {
        match &outcome.result {
            Ok(_) => self == Self::None || self == Self::Cancelled,
            Err(RequestError::Cancelled) => self == Self::Cancelled,
            Err(RequestError::TimedOut { .. }) => self == Self::Late,
            // A model may be removed, paused or at the end of its queue.
            Err(RequestError::Rejected { .. }) => true,
            Err(_) => self == Self::Bad,
        }
    }
}

/// The counts of a run.
#[derive(Debug, Default)]
struct Tally {
    sent: AtomicUsize,
    answered: AtomicUsize,
    twice: AtomicUsize,
    unexpected: AtomicUsize,
    completed: AtomicUsize,
}

fn count(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn change(random: &mut fastrand::Rng) -> Change {
    let mut name = || (*random.choice(MODELS).unwrap()).to_owned();
    let (model, other) = (name(), name());
    let count = random.usize(1..4);
    let edit = match random.u32(0..100) {
        0..25 => Edit::TransferCores {
            cores: CoreSelection::Count(1),
            from: CoreOwner::Model(other),
            to: CoreOwner::Model(model),
            share: random.bool(),
        },
        25..45 => Edit::SetCores { model, cores: CoreRequest::Count(count) },
        45..70 => Edit::SetConcurrency { model, concurrency: Auto::Exactly(count * 2) },
        70..80 => Edit::SetThreads { model, threads: Auto::Exactly(count) },
        80..90 => Edit::SetWeight { model, weight: 1 << random.u32(0..7) },
        // The model is loaded again.
        _ => {
            let budget = Box::new(row(&model, "0-1"));
            return Change { edits: vec![Edit::Remove { model }, Edit::Add { budget }] };
        }
    };
    Change::from(edit)
}

/// Sends `requests` requests to all models, a few percent of them with a fault.
fn send(scheduler: &Scheduler, tally: &Arc<Tally>, requests: usize, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let wrong = Tensor::new(vec![1], TensorData::F32(vec![0.0])).unwrap();
    let wrong = Arc::new(vec![NamedTensor { name: "x".to_owned(), tensor: wrong }]);
    let waiting = Arc::new(AtomicUsize::new(0));
    let mut left = requests;
    while left > 0 {
        if waiting.load(Ordering::Relaxed) >= MOST_WAITING {
            std::thread::yield_now();
            continue;
        }
        let Some(client) = scheduler.client(MODELS[random.usize(..MODELS.len())]) else { continue };
        let fault = Fault::random(&mut random);
        let inputs = if fault == Fault::Bad { wrong.clone() } else { Arc::default() };
        let (tally_of_reply, waiting_of_reply) = (tally.clone(), waiting.clone());
        let once = AtomicBool::new(false);
        let reply = move |outcome: Outcome| {
            let tally = tally_of_reply;
            if once.swap(true, Ordering::SeqCst) {
                tally.twice.fetch_add(1, Ordering::SeqCst);
            }
            if !fault.allows(&outcome) {
                eprintln!("{fault:?} ended with {:?}", outcome.result);
                tally.unexpected.fetch_add(1, Ordering::SeqCst);
            }
            tally.completed.fetch_add(usize::from(outcome.result.is_ok()), Ordering::SeqCst);
            tally.answered.fetch_add(1, Ordering::SeqCst);
            waiting_of_reply.fetch_sub(1, Ordering::SeqCst);
        };
        let deadline = (fault == Fault::Late).then(Instant::now);
        let options = RequestOptions { deadline, ..RequestOptions::default() };
        waiting.fetch_add(1, Ordering::SeqCst);
        tally.sent.fetch_add(1, Ordering::SeqCst);
        let sender = client.sender();
        let request = Request::new(inputs, Box::new(reply)).with_options(options);
        let id = sender.submit(request);
        if fault == Fault::Cancelled
            && let Some(id) = id
        {
            sender.cancel(id);
        }
        left -= 1;
    }
}

#[test]
fn every_careless_request_is_answered_once() {
    let requests = count("DIVVY_SOAK_REQUESTS", 20_000);
    let changes = count("DIVVY_SOAK_CHANGES", 200);
    let test = TestScheduler::start(CORES, MODELS.map(|name| row(name, "0-7")).into());
    for name in MODELS {
        test.scripts.of(name).inputs_fail.store(true, Ordering::SeqCst);
        let queue = QueuePolicy { limit: 99_999, ..QueuePolicy::default() };
        test.apply(Edit::SetQueue { model: name.to_owned(), queue });
    }
    let scheduler = &test.scheduler;
    let tally = Arc::new(Tally::default());
    let (sent, repairing) = (AtomicBool::new(false), AtomicUsize::new(0));
    let applied = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..CALLERS)
            .map(|seed| {
                let tally = &tally;
                scope.spawn(move || send(scheduler, tally, requests / CALLERS as usize, seed))
            })
            .collect();
        let changer = scope.spawn(|| {
            let mut random = fastrand::Rng::with_seed(3);
            // The requests are over when the last change is.
            let step = requests / changes.max(1);
            (1..=changes).fold(0, |applied, number| {
                while tally.sent.load(Ordering::Relaxed) < (number * step).min(requests)
                    && !sent.load(Ordering::Relaxed)
                {
                    std::thread::yield_now();
                }
                applied + usize::from(scheduler.apply(change(&mut random), Author::Console).is_ok())
            })
        });
        scope.spawn(|| {
            while !sent.load(Ordering::Relaxed) {
                for name in MODELS {
                    let pool = scheduler.client(name).and_then(|client| client.current());
                    let seats = pool.map(|pool| pool.seats().repairing);
                    repairing.fetch_add(seats.unwrap_or_default(), Ordering::Relaxed);
                }
                std::thread::sleep(std::time::Duration::from_micros(500));
            }
        });
        for sender in senders {
            sender.join().unwrap();
        }
        let applied = changer.join().unwrap();
        sent.store(true, Ordering::SeqCst);
        applied
    });
    // A model that lost its cores to others keeps its requests until it has some again.
    for name in MODELS {
        let model = name.to_owned();
        test.apply(Edit::SetCores { model, cores: CoreRequest::List(set("0-7")) });
    }
    let left = || test.snapshot().models.iter().map(|view| view.counts).collect::<Vec<_>>();
    let sum = tally.answered.load(Ordering::SeqCst);
    println!("{sum} answered when the last change is made, {:?}", left());
    test.wait("answers", || {
        tally.answered.load(Ordering::SeqCst) == tally.sent.load(Ordering::SeqCst)
    });
    let read = |count: &AtomicUsize| count.load(Ordering::SeqCst);
    assert_eq!(read(&tally.sent), requests / CALLERS as usize * CALLERS as usize);
    assert_eq!((read(&tally.twice), read(&tally.unexpected)), (0, 0), "{tally:?}");
    assert_eq!(read(&repairing), 0, "instances were rebuilt for a client's fault");
    assert!(read(&tally.completed) > requests / 4, "{tally:?}");
    assert!(applied > changes / 4, "{applied} of {changes} changes");
    println!("{applied} of {changes} changes applied, {tally:?}");
    let last = scheduler.stop(PATIENCE).unwrap();
    for view in &last.models {
        assert!(view.counts.balanced(), "{:?}", view.counts);
    }
}
