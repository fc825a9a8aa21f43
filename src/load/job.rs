//! One model's load: what is asked of the driver, checked, and turned into a generator.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::arrivals::{Arrivals, Pace};
use super::closed::ClosedLoop;
use super::error::LoadError;
use super::open::OpenLoop;
use super::requests::{Carry, LoadRequests, Sequence};
use super::sequential::Sequential;
use super::ticket::{Answer, Counter};
use crate::engine::TensorSpec;
use crate::layout::{LoadSpec, ReplayOrder};
use crate::pool::Door;

/// A load for one model.
#[derive(Clone)]
pub struct LoadJob {
    /// The model's door.
    pub door: Arc<dyn Door>,
    /// When to ask. The file of a replay is not read here: its content is in `requests`.
    pub spec: LoadSpec,
    /// What to ask.
    pub requests: Arc<LoadRequests>,
    /// Seeds gaps and shuffles: the same seed gives the same load.
    pub seed: u64,
}

impl LoadJob {
    /// Whether another job asks the same of the same door.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.same_source(other) && self.spec == other.spec
    }

    /// Whether another job differs at most in when it asks.
    pub(super) fn same_source(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.door), Arc::as_ptr(&other.door))
            && Arc::ptr_eq(&self.requests, &other.requests)
            && self.seed == other.seed
    }

    /// Whether this load can be run.
    ///
    /// # Errors
    /// [`LoadError`] for a figure out of its range, and for a `carry` that the model's signature
    /// does not allow.
    pub fn check(&self) -> Result<(), LoadError> {
        match &self.spec {
            LoadSpec::Closed { clients, .. } => {
                if !(1..=10_000).contains(clients) {
                    return Err(LoadError::OutOfRange {
                        field: "clients",
                        value: clients.to_string(),
                        range: "1 to 10000",
                    });
                }
                Ok(())
            }
            LoadSpec::Poisson { rate } | LoadSpec::Constant { rate } => check_rate(*rate),
            LoadSpec::Replay { rate, carry, .. } => {
                if let Some(rate) = rate {
                    check_rate(*rate)?;
                }
                let signature = self.door.signature();
                for (output, input) in carry {
                    check_name("output", output, &signature.outputs)?;
                    check_name("input", input, &signature.inputs)?;
                }
                Ok(())
            }
        }
    }

    /// The generator, its first arrival counted from now.
    pub(super) fn generator(&self, now: Instant) -> Generator {
        let sequence = |order| Sequence::new(self.requests.clone(), order, self.seed);
        let constant = |rate| Arrivals::new(Pace::Constant { rate }, now);
        match &self.spec {
            LoadSpec::Closed { clients, think } => Generator::Closed(ClosedLoop::new(
                sequence(ReplayOrder::Recorded),
                *clients,
                *think,
                now,
            )),
            LoadSpec::Poisson { rate } => {
                let pace = Pace::Poisson { rate: *rate, rng: Rng::with_seed(self.seed) };
                let arrivals = Arrivals::new(pace, now);
                Generator::Open(OpenLoop::new(sequence(ReplayOrder::Recorded), arrivals))
            }
            LoadSpec::Constant { rate } => {
                Generator::Open(OpenLoop::new(sequence(ReplayOrder::Recorded), constant(*rate)))
            }
            LoadSpec::Replay { order, rate, carry, .. } => {
                let sequence = sequence(*order);
                let arrivals = match (rate, self.requests.times()) {
                    (Some(rate), _) => Some(constant(*rate)),
                    (None, Some(times)) => {
                        let (offsets, period) = (times.offsets.clone(), times.period);
                        Some(Arrivals::new(Pace::Recorded { offsets, period }, now))
                    }
                    (None, None) => None,
                };
                if !carry.is_empty() {
                    let carry = Carry::new(carry.clone());
                    return Generator::Sequential(Sequential::new(sequence, carry, arrivals, now));
                }
                match arrivals {
                    Some(arrivals) => Generator::Open(OpenLoop::new(sequence, arrivals)),
                    None => Generator::Closed(ClosedLoop::new(sequence, 1, Duration::ZERO, now)),
                }
            }
        }
    }
}

fn check_rate(rate: f64) -> Result<(), LoadError> {
    if rate > 0.0 && rate <= 1_000_000.0 {
        return Ok(());
    }
    Err(LoadError::OutOfRange {
        field: "rate",
        value: rate.to_string(),
        range: "above 0 and at most 1000000 requests per second",
    })
}

fn check_name(side: &'static str, name: &str, specs: &[TensorSpec]) -> Result<(), LoadError> {
    if specs.iter().any(|spec| spec.name == name) {
        return Ok(());
    }
    let known: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    Err(LoadError::UnknownCarry { side, name: name.to_owned(), known: known.join(", ") })
}

/// A running load of any kind: a state machine that is told the time, so that tests need no clock.
pub(super) enum Generator {
    Open(OpenLoop),
    Closed(ClosedLoop),
    Sequential(Sequential),
}

impl Generator {
    /// Submits what is due; says when to come back at the latest. `None`: when an answer comes.
    pub(super) fn step(&mut self, now: Instant, counter: &Counter) -> Option<Instant> {
        match self {
            Self::Open(open) => Some(open.step(now, counter)),
            Self::Closed(closed) => closed.step(now, counter),
            Self::Sequential(sequential) => sequential.step(now, counter),
        }
    }

    /// Takes in an answer.
    pub(super) fn answered(&mut self, answer: Answer, now: Instant) {
        match self {
            Self::Open(_) => {}
            Self::Closed(closed) => closed.answered(answer.client, answer.outputs.is_some(), now),
            Self::Sequential(sequential) => sequential.answered(answer.outputs, now),
        }
    }
}
