//! Open loop: arrivals come whether or not earlier requests were answered.

use std::time::{Duration, Instant};

use super::arrivals::Arrivals;
use super::requests::Sequence;
use super::ticket::Counter;

/// Requests of one load that may be without an answer at a time. Further arrivals are held back
/// (they count as offered) and keep their intended times.
pub const MAX_IN_FLIGHT: u64 = 65_536;

/// Arrivals that are handled before the driver looks after its other loads and its mailbox.
pub(super) const BATCH: usize = 1024;

/// How soon a load that holds back looks again.
const HELD: Duration = Duration::from_millis(1);

/// An open loop.
pub(super) struct OpenLoop {
    sequence: Sequence,
    /// Runs with the clock.
    offered: Arrivals,
    /// The same schedule; behind it while requests are held back.
    submitted: Arrivals,
}

impl OpenLoop {
    pub(super) fn new(sequence: Sequence, arrivals: Arrivals) -> Self {
        Self { sequence, offered: arrivals.clone(), submitted: arrivals }
    }

    /// Submits all that is due; says when to come back.
    pub(super) fn step(&mut self, now: Instant, counter: &Counter) -> Instant {
        let due = (0..BATCH).take_while(|_| self.offered.take(now).is_some()).count();
        counter.tally.offer(due as u64);
        for _ in 0..BATCH {
            // never ahead of what was offered, which moves in batches too
            if self.submitted.next() >= self.offered.next() {
                break;
            }
            if counter.in_flight() >= MAX_IN_FLIGHT {
                // what is due is counted on, a batch a step, also while nothing is submitted
                return if self.offered.next() <= now { now } else { now + HELD };
            }
            let Some(arrival) = self.submitted.take(now) else { break };
            counter.submit(self.sequence.next().0, arrival);
        }
        self.submitted.next()
    }
}
