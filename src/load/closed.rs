//! Closed loop: callers that each wait for their reply, think, and send again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::requests::RequestCycle;
use super::submit::{BATCH, CallerRequest, LoadSubmitter, Outputs};

/// The pause after the first failed request.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Returns the pause before a caller's next request: its think time, or longer after `failures` in a
/// row.
pub(super) fn pause(think: Duration, failures: u32) -> Duration {
    match failures {
        0 => think,
        more => {
            let doubled = FIRST_PAUSE.saturating_mul(1 << (more - 1).min(16));
            think.max(doubled.min(LONGEST_PAUSE))
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallerState {
    /// Not part of the load.
    Inactive,
    /// Sends at its due time, which is in the heap.
    Thinking,
    /// Waits for its reply.
    Waiting,
}

#[derive(Clone, Copy, Debug)]
struct Caller {
    state: CallerState,
    /// Failed requests in a row.
    failures: u32,
}

/// A closed loop.
pub(super) struct ClosedLoop {
    cycle: RequestCycle,
    think: Duration,
    /// The number of active callers.
    count: usize,
    /// The callers; those from `count` on become inactive.
    callers: Vec<Caller>,
    /// The thinking callers by their next arrival.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl ClosedLoop {
    pub(super) fn new(cycle: RequestCycle, count: usize, think: Duration, now: Instant) -> Self {
        let mut closed = Self {
            cycle,
            think,
            count: 0,
            callers: Vec::new(),
            due: BinaryHeap::with_capacity(count),
        };
        closed.resize(count, think, now);
        closed
    }

    /// Changes the number of callers. New ones send at once; surplus ones become inactive after their
    /// reply or before their next request.
    pub(super) fn resize(&mut self, count: usize, think: Duration, now: Instant) {
        self.think = think;
        self.count = count;
        let inactive = Caller { state: CallerState::Inactive, failures: 0 };
        self.callers.resize(self.callers.len().max(count), inactive);
        for (index, caller) in self.callers.iter_mut().enumerate().take(count) {
            if caller.state == CallerState::Inactive {
                *caller = Caller { state: CallerState::Thinking, failures: 0 };
                self.due.push(Reverse((now, index)));
            }
        }
    }

    /// Handles the reply to a caller.
    pub(super) fn handle_answer(&mut self, index: usize, success: bool, now: Instant) {
        let Some(caller) = self.callers.get_mut(index) else { return };
        caller.failures = if success { 0 } else { caller.failures.saturating_add(1) };
        if index >= self.count {
            caller.state = CallerState::Inactive;
        } else {
            caller.state = CallerState::Thinking;
            self.due.push(Reverse((now + pause(self.think, caller.failures), index)));
        }
    }

    /// Sends the requests of all callers that are due. Returns when the next one is due.
    pub(super) fn step(&mut self, now: Instant, submitter: &LoadSubmitter) -> Option<Instant> {
        for _ in 0..BATCH {
            let Some(Reverse((arrival, index))) = self.due.peek().copied() else { break };
            if arrival > now {
                break;
            }
            self.due.pop();
            let Some(caller) = self.callers.get_mut(index) else { continue };
            if index >= self.count {
                caller.state = CallerState::Inactive;
                continue;
            }
            caller.state = CallerState::Waiting;
            submitter.counters.add_offered(1);
            let inputs = self.cycle.next().inputs;
            let outputs = Outputs::Dropped;
            submitter.submit_caller(CallerRequest { inputs, arrival, caller: index, outputs });
        }
        self.due.peek().map(|Reverse((due, _))| *due)
    }
}
