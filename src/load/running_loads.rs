//! The running loads, as a state machine that gets the time passed in: the driver's thread uses the
//! real clock, tests use made-up instants.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::Sender;
use std::time::Instant;

use super::counters::LoadCounters;
use super::generator::LoadGenerator;
use super::job::LoadJob;
use super::message::{LoadAnswer, LoadMessage};
use super::submit::LoadSubmitter;
use crate::layout::LoadSpec;

struct RunningLoad {
    model: String,
    job: LoadJob,
    generator: LoadGenerator,
    submitter: LoadSubmitter,
    /// Time of the next step; `None` means after the next answer.
    next: Option<Instant>,
}

/// The running loads, at most one per model.
pub(super) struct RunningLoads {
    loads: Vec<RunningLoad>,
    /// The number of the newest load.
    number: u64,
    mailbox: Sender<LoadMessage>,
}

impl RunningLoads {
    /// No load. Answers go to `mailbox`, and from there to [`RunningLoads::handle_answer`].
    pub(super) fn new(mailbox: Sender<LoadMessage>) -> Self {
        Self { loads: Vec::new(), number: 0, mailbox }
    }

    /// Starts, changes or stops a model's load. The same job again changes nothing; callers with a
    /// request under way stay if only the number of callers changes.
    pub(super) fn set(
        &mut self,
        model: String,
        job: Option<LoadJob>,
        counters: &Arc<LoadCounters>,
        now: Instant,
    ) {
        let index = self.loads.iter().position(|load| load.model == model);
        let Some(job) = job else {
            if let Some(index) = index {
                self.loads.swap_remove(index);
            }
            return;
        };
        if let Some(load) = index.and_then(|index| self.loads.get_mut(index)) {
            if load.job.is_same(&job) {
                return;
            }
            if let (LoadGenerator::Closed(closed), LoadSpec::Closed { clients, think }, true) =
                (&mut load.generator, &job.spec, load.job.has_same_source(&job))
            {
                closed.resize(*clients, *think, now);
                load.next = Some(now);
                load.job = job;
                return;
            }
        }
        self.number += 1;
        let submitter = LoadSubmitter {
            load: self.number,
            sender: job.sender.clone(),
            counters: counters.clone(),
            mailbox: self.mailbox.clone(),
            in_flight: Arc::new(AtomicU64::new(0)),
        };
        let generator = LoadGenerator::new(&job, now);
        let load = RunningLoad { model, job, generator, submitter, next: Some(now) };
        match index.and_then(|index| self.loads.get_mut(index)) {
            Some(old) => *old = load,
            None => self.loads.push(load),
        }
    }

    /// Passes an answer to its load, if that still runs.
    pub(super) fn handle_answer(&mut self, answer: LoadAnswer, now: Instant) {
        if let Some(load) = self.loads.iter_mut().find(|load| load.submitter.load == answer.load) {
            load.generator.handle_answer(answer, now);
            load.next = Some(now);
        }
    }

    /// Submits the requests that are due, one batch per load. Returns when to call again at the
    /// latest; `None` means after the next message.
    pub(super) fn step(&mut self, now: Instant) -> Option<Instant> {
        for load in &mut self.loads {
            if load.next.is_some_and(|next| next <= now) {
                load.next = load.generator.step(now, &load.submitter);
            }
        }
        self.loads.iter().filter_map(|load| load.next).min()
    }

    /// Stops all loads. Requests under way still get their answers.
    pub(super) fn clear(&mut self) {
        self.loads.clear();
    }
}
