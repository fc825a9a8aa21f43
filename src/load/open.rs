//! Open loop: arrivals are independent of replies.

use std::time::{Duration, Instant};

use super::arrivals::Arrivals;
use super::requests::RequestCycle;
use super::submit::{BATCH, LoadSubmitter};

/// The most unanswered requests of one load. Further arrivals are delayed: they count as offered and
/// keep their intended times.
pub const MAX_IN_FLIGHT: u64 = 65_536;

/// Time between checks of a load that has [`MAX_IN_FLIGHT`] requests under way.
const DELAY_CHECK: Duration = Duration::from_millis(1);

/// An open loop.
pub(super) struct OpenLoop {
    cycle: RequestCycle,
    /// The schedule, at the next arrival by the clock.
    offered: Arrivals,
    /// The same schedule, at the next arrival to submit; behind `offered` while requests are delayed.
    submitted: Arrivals,
}

impl OpenLoop {
    pub(super) fn new(cycle: RequestCycle, arrivals: Arrivals) -> Self {
        Self { cycle, offered: arrivals.clone(), submitted: arrivals }
    }

    /// Submits the requests that are due. Returns when to call again.
    pub(super) fn step(&mut self, now: Instant, submitter: &LoadSubmitter) -> Instant {
        let due = (0..BATCH).take_while(|_| self.offered.take(now).is_some()).count();
        submitter.counters.add_offered(due as u64);
        for _ in 0..BATCH {
            // Never exceed `offered`, which advances in batches too.
            if self.submitted.next() >= self.offered.next() {
                break;
            }
            if submitter.in_flight() >= MAX_IN_FLIGHT {
                // Due arrivals are still counted, one batch per step.
                return if self.offered.next() <= now { now } else { now + DELAY_CHECK };
            }
            let Some(arrival) = self.submitted.take(now) else { break };
            submitter.submit(self.cycle.next().inputs, arrival);
        }
        self.submitted.next()
    }
}
