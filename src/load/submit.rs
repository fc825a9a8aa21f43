//! Submission of requests: counted when they are submitted and when they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Instant;

use super::counters::LoadCounters;
use super::message::{LoadAnswer, LoadMessage};
use super::requests::Inputs;
use crate::engine::NamedTensor;
use crate::pool::{Outcome, Request, RequestSender};

/// Arrivals that one step of a load handles, before the driver turns to the other loads and its
/// mailbox.
pub(super) const BATCH: usize = 1024;

/// A caller's request: the caller waits for its end.
pub(super) struct CallerRequest {
    pub(super) inputs: Inputs,
    /// The intended arrival.
    pub(super) arrival: Instant,
    /// The caller's index within its load.
    pub(super) caller: usize,
    pub(super) outputs: Outputs,
}

/// The use of a request's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outputs {
    /// The caller needs them.
    Needed,
    /// They are dropped.
    Dropped,
}

/// Submits the requests of one load.
pub(super) struct LoadSubmitter {
    /// The load's number.
    pub(super) load: u64,
    pub(super) sender: Arc<dyn RequestSender>,
    pub(super) counters: Arc<LoadCounters>,
    pub(super) mailbox: Sender<LoadMessage>,
    /// Requests of this load that have not ended.
    pub(super) in_flight: Arc<AtomicU64>,
}

impl LoadSubmitter {
    /// Returns the number of requests that have not ended.
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Submits a request that no caller waits for.
    pub(super) fn submit(&self, inputs: Inputs, arrival: Instant) {
        self.submit_for(inputs, arrival, None);
    }

    /// Submits a caller's request; a message reports its end.
    pub(super) fn submit_caller(&self, request: CallerRequest) {
        let CallerRequest { inputs, arrival, caller, outputs } = request;
        let waiting =
            WaitingCaller { load: self.load, caller, outputs, mailbox: self.mailbox.clone() };
        self.submit_for(inputs, arrival, Some(waiting));
    }

    fn submit_for(&self, inputs: Inputs, arrival: Instant, caller: Option<WaitingCaller>) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        self.counters.add_submitted();
        let pending = PendingRequest {
            counters: self.counters.clone(),
            in_flight: self.in_flight.clone(),
            caller,
        };
        let request = Request::new(inputs, Box::new(|outcome| pending.end(outcome)));
        // Its reply reports the outcome.
        let _ = self.sender.submit(request.with_arrival(arrival));
    }
}

struct WaitingCaller {
    load: u64,
    caller: usize,
    outputs: Outputs,
    mailbox: Sender<LoadMessage>,
}

/// A submitted request. It ends with its reply, or when the reply is dropped without a call: its
/// caller must not wait for ever then.
struct PendingRequest {
    counters: Arc<LoadCounters>,
    in_flight: Arc<AtomicU64>,
    caller: Option<WaitingCaller>,
}

impl PendingRequest {
    fn end(mut self, outcome: Outcome) {
        self.notify_caller(outcome.result.ok());
    }

    fn notify_caller(&mut self, outputs: Option<Vec<NamedTensor>>) {
        if let Some(waiting) = self.caller.take() {
            let is_needed = waiting.outputs == Outputs::Needed;
            let outputs = outputs.map(|tensors| if is_needed { tensors } else { Vec::new() });
            let answer = LoadAnswer { load: waiting.load, caller: waiting.caller, outputs };
            // If the driver has stopped, no caller waits.
            let _ = waiting.mailbox.send(LoadMessage::Answer(answer));
        }
    }
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        self.notify_caller(None);
        self.counters.add_answered();
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
