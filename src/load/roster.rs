//! All running loads, as a state machine that is told the time: the driver's thread turns it with
//! the real clock, the tests with made-up instants.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::Sender;
use std::time::Instant;

use super::driver::Message;
use super::job::{Generator, LoadJob};
use super::ticket::{Answer, Counter, Tally};
use crate::layout::LoadSpec;

struct Running {
    model: String,
    job: LoadJob,
    generator: Generator,
    counter: Counter,
    next: Option<Instant>,
}

/// The running loads, at most one a model.
pub(super) struct Roster {
    loads: Vec<Running>,
    numbers: u64,
    mailbox: Sender<Message>,
}

impl Roster {
    /// No load. Answers of requests go to `mailbox`, and from there to [`Roster::answered`].
    pub(super) fn new(mailbox: Sender<Message>) -> Self {
        Self { loads: Vec::new(), numbers: 0, mailbox }
    }

    /// Starts, changes or stops a model's load. The same job again changes nothing; another number
    /// of callers lets those stay who are in the middle of a request.
    pub(super) fn set(
        &mut self,
        model: String,
        job: Option<LoadJob>,
        tally: &Arc<Tally>,
        now: Instant,
    ) {
        let place = self.loads.iter().position(|load| load.model == model);
        let Some(job) = job else {
            if let Some(index) = place {
                self.loads.swap_remove(index);
            }
            return;
        };
        if let Some(load) = place.and_then(|index| self.loads.get_mut(index)) {
            if load.job.same(&job) {
                return;
            }
            if let (Generator::Closed(closed), LoadSpec::Closed { clients, think }, true) =
                (&mut load.generator, &job.spec, load.job.same_source(&job))
            {
                closed.resize(*clients, *think, now);
                load.next = Some(now);
                load.job = job;
                return;
            }
        }
        self.numbers += 1;
        let counter = Counter {
            load: self.numbers,
            door: job.door.clone(),
            tally: tally.clone(),
            in_flight: Arc::new(AtomicU64::new(0)),
            mailbox: self.mailbox.clone(),
        };
        let load = Running { model, generator: job.generator(now), job, counter, next: Some(now) };
        match place.and_then(|index| self.loads.get_mut(index)) {
            Some(old) => *old = load,
            None => self.loads.push(load),
        }
    }

    /// Hands an answer to the load that asked, if it still runs.
    pub(super) fn answered(&mut self, answer: Answer, now: Instant) {
        if let Some(load) = self.loads.iter_mut().find(|load| load.counter.load == answer.load) {
            load.generator.answered(answer, now);
            load.next = Some(now);
        }
    }

    /// Submits all that is due, a batch a load; says when to come back at the latest. `None`: when
    /// a message comes.
    pub(super) fn step(&mut self, now: Instant) -> Option<Instant> {
        for load in &mut self.loads {
            if load.next.is_some_and(|next| next <= now) {
                load.next = load.generator.step(now, &load.counter);
            }
        }
        self.loads.iter().filter_map(|load| load.next).min()
    }

    /// Ends all loads. LoadRequests that are under way stay so.
    pub(super) fn clear(&mut self) {
        self.loads.clear();
    }
}
