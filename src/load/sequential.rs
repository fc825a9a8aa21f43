//! Replay with carried state: one request at a time, because each needs the outputs of the last.

use std::time::{Duration, Instant};

use super::arrivals::Arrivals;
use super::closed::pause;
use super::open::BATCH;
use super::requests::{Carry, Sequence};
use super::ticket::Counter;
use crate::engine::NamedTensor;

/// One caller that carries outputs to inputs, at set times or as fast as it is answered.
pub(super) struct Sequential {
    sequence: Sequence,
    carry: Carry,
    /// The schedule as the clock sees it, and as far as it has been asked; `None`: a closed loop.
    schedule: Option<(Arrivals, Arrivals)>,
    asking: bool,
    failures: u32,
    ready: Instant,
}

impl Sequential {
    pub(super) fn new(
        sequence: Sequence,
        carry: Carry,
        arrivals: Option<Arrivals>,
        now: Instant,
    ) -> Self {
        let schedule = arrivals.map(|arrivals| (arrivals.clone(), arrivals));
        Self { sequence, carry, schedule, asking: false, failures: 0, ready: now }
    }

    /// The reply to the request under way. After a failure the carried state is unknown: the next
    /// request starts from the recorded values.
    pub(super) fn answered(&mut self, outputs: Option<Vec<NamedTensor>>, now: Instant) {
        self.asking = false;
        if let Some(outputs) = outputs {
            self.failures = 0;
            self.carry.keep(outputs);
        } else {
            self.failures = self.failures.saturating_add(1);
            self.carry.forget();
        }
        self.ready = now + pause(Duration::ZERO, self.failures);
    }

    /// Asks when it is time and the last reply is there; says when to come back.
    pub(super) fn step(&mut self, now: Instant, counter: &Counter) -> Option<Instant> {
        if let Some((offered, _)) = &mut self.schedule {
            let due = (0..BATCH).take_while(|_| offered.take(now).is_some()).count();
            counter.tally.offer(due as u64);
        }
        if !self.asking && self.ready <= now {
            let arrival = match &mut self.schedule {
                // never ahead of what was offered, which moves in batches
                Some((offered, asked)) if asked.next() < offered.next() => asked.take(now),
                Some(_) => None,
                None => {
                    counter.tally.offer(1);
                    Some(self.ready)
                }
            };
            if let Some(arrival) = arrival {
                let (inputs, first) = self.sequence.next();
                if first {
                    self.carry.forget();
                }
                self.asking = true;
                counter.ask(self.carry.fill(inputs), arrival, 0, true);
            }
        }
        match &self.schedule {
            Some((offered, _)) if self.asking => Some(offered.next()),
            Some((offered, asked)) => Some(asked.next().max(self.ready).min(offered.next())),
            None if self.asking => None,
            None => Some(self.ready),
        }
    }
}
