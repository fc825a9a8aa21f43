//! Replay with carried state: one request at a time, because each needs the outputs of the last.

use std::time::{Duration, Instant};

use super::arrivals::Arrivals;
use super::closed::pause;
use super::requests::{CarriedState, RequestCycle};
use super::submit::{BATCH, CallerRequest, LoadSubmitter, Outputs};
use crate::engine::NamedTensor;

/// One caller that carries outputs to inputs, at set times or as fast as it gets replies.
pub(super) struct SequentialReplay {
    cycle: RequestCycle,
    carried: CarriedState,
    /// `None`: a closed loop.
    schedule: Option<ReplaySchedule>,
    is_waiting: bool,
    /// Failed requests in a row.
    failures: u32,
    /// The earliest time of the next request.
    ready: Instant,
}

/// The schedule of the arrivals, at two positions.
struct ReplaySchedule {
    /// At the next arrival by the clock.
    offered: Arrivals,
    /// At the next arrival to submit.
    submitted: Arrivals,
}

impl SequentialReplay {
    pub(super) fn new(
        cycle: RequestCycle,
        carried: CarriedState,
        arrivals: Option<Arrivals>,
        now: Instant,
    ) -> Self {
        let schedule = arrivals
            .map(|arrivals| ReplaySchedule { offered: arrivals.clone(), submitted: arrivals });
        Self { cycle, carried, schedule, is_waiting: false, failures: 0, ready: now }
    }

    /// Handles the reply to the request under way. After a failure the carried state is unknown, so
    /// the next request uses the recorded values.
    pub(super) fn handle_answer(&mut self, outputs: Option<Vec<NamedTensor>>, now: Instant) {
        self.is_waiting = false;
        if let Some(outputs) = outputs {
            self.failures = 0;
            self.carried.store(outputs);
        } else {
            self.failures = self.failures.saturating_add(1);
            self.carried.clear();
        }
        self.ready = now + pause(Duration::ZERO, self.failures);
    }

    /// Sends the next request if it is due and the last one was answered. Returns when to call again.
    pub(super) fn step(&mut self, now: Instant, submitter: &LoadSubmitter) -> Option<Instant> {
        if let Some(ReplaySchedule { offered, .. }) = &mut self.schedule {
            let due = (0..BATCH).take_while(|_| offered.take(now).is_some()).count();
            submitter.counters.add_offered(due as u64);
        }
        if !self.is_waiting
            && self.ready <= now
            && let Some(arrival) = self.take_arrival(now, submitter)
        {
            let next = self.cycle.next();
            if next.is_first {
                self.carried.clear();
            }
            self.is_waiting = true;
            let inputs = self.carried.fill(next.inputs);
            let outputs = Outputs::Needed;
            submitter.submit_caller(CallerRequest { inputs, arrival, caller: 0, outputs });
        }
        match &self.schedule {
            Some(schedule) if self.is_waiting => Some(schedule.offered.next()),
            Some(ReplaySchedule { offered, submitted }) => {
                Some(submitted.next().max(self.ready).min(offered.next()))
            }
            None if self.is_waiting => None,
            None => Some(self.ready),
        }
    }

    /// Returns the intended arrival of the next request, if it is due.
    fn take_arrival(&mut self, now: Instant, submitter: &LoadSubmitter) -> Option<Instant> {
        let Some(ReplaySchedule { offered, submitted }) = &mut self.schedule else {
            submitter.counters.add_offered(1);
            return Some(self.ready);
        };
        // Not ahead of `offered`, which advances in batches.
        if submitted.next() < offered.next() { submitted.take(now) } else { None }
    }
}
