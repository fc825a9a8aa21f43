//! The generator of a model's requests, for any kind of load: a state machine. Its caller passes the
//! current time, so tests need no clock.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::arrivals::{Arrivals, Pace};
use super::closed::ClosedLoop;
use super::job::LoadJob;
use super::message::LoadAnswer;
use super::open::OpenLoop;
use super::requests::{CarriedState, RequestCycle};
use super::sequential::SequentialReplay;
use super::submit::LoadSubmitter;
use crate::layout::{LoadSpec, ReplayOrder};

/// A running load of any kind.
pub(super) enum LoadGenerator {
    Open(OpenLoop),
    Closed(ClosedLoop),
    Sequential(SequentialReplay),
}

impl LoadGenerator {
    /// The generator of a job; its first arrival counts from `now`.
    pub(super) fn new(job: &LoadJob, now: Instant) -> Self {
        let cycle = |order| RequestCycle::new(job.requests.clone(), order, job.seed);
        let open = |pace| {
            let arrivals = Arrivals::new(pace, now);
            Self::Open(OpenLoop::new(cycle(ReplayOrder::Recorded), arrivals))
        };
        match &job.spec {
            LoadSpec::Closed { clients, think } => {
                Self::Closed(ClosedLoop::new(cycle(ReplayOrder::Recorded), *clients, *think, now))
            }
            LoadSpec::Poisson { rate } => {
                open(Pace::Poisson { rate: *rate, rng: Rng::with_seed(job.seed) })
            }
            LoadSpec::Constant { rate } => open(Pace::Constant { rate: *rate }),
            LoadSpec::Replay { order, rate, carry, .. } => {
                let cycle = cycle(*order);
                let arrivals = replay_pace(job, *rate).map(|pace| Arrivals::new(pace, now));
                if !carry.is_empty() {
                    let carried = CarriedState::new(carry.clone());
                    return Self::Sequential(SequentialReplay::new(cycle, carried, arrivals, now));
                }
                match arrivals {
                    Some(arrivals) => Self::Open(OpenLoop::new(cycle, arrivals)),
                    None => Self::Closed(ClosedLoop::new(cycle, 1, Duration::ZERO, now)),
                }
            }
        }
    }

    /// Submits the requests that are due. Returns when to call again at the latest; `None` means
    /// after the next answer.
    pub(super) fn step(&mut self, now: Instant, submitter: &LoadSubmitter) -> Option<Instant> {
        match self {
            Self::Open(open) => Some(open.step(now, submitter)),
            Self::Closed(closed) => closed.step(now, submitter),
            Self::Sequential(sequential) => sequential.step(now, submitter),
        }
    }

    /// Handles an answer.
    pub(super) fn handle_answer(&mut self, answer: LoadAnswer, now: Instant) {
        match self {
            Self::Open(_) => {}
            Self::Closed(closed) => {
                closed.handle_answer(answer.caller, answer.outputs.is_some(), now);
            }
            Self::Sequential(sequential) => sequential.handle_answer(answer.outputs, now),
        }
    }
}

/// Returns the pace of a replay; `None` if it has neither a rate nor recorded times.
fn replay_pace(job: &LoadJob, rate: Option<f64>) -> Option<Pace> {
    if let Some(rate) = rate {
        return Some(Pace::Constant { rate });
    }
    let times = job.requests.times()?;
    Some(Pace::Recorded { offsets: times.offsets.clone(), period: times.period })
}
