//! The way of one request out and back: counted when it goes, counted when its answer comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Instant;

use super::driver::Message;
use super::requests::Inputs;
use crate::engine::NamedTensor;
use crate::pool::{Door, Outcome, Request};

/// What the built-in load of one model did since the driver started, over all its loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadCounts {
    /// Intended arrivals so far, those included that the generator still holds back.
    pub offered: u64,
    /// Requests handed to the door.
    pub submitted: u64,
    /// Requests that the door has answered in whatever way.
    pub answered: u64,
}

/// The live counters behind [`LoadCounts`].
#[derive(Debug, Default)]
pub(super) struct Tally {
    offered: AtomicU64,
    submitted: AtomicU64,
    answered: AtomicU64,
}

impl Tally {
    pub(super) fn offer(&self, arrivals: u64) {
        self.offered.fetch_add(arrivals, Ordering::Relaxed);
    }

    /// Answered is read first, so that it is never above submitted.
    pub(super) fn counts(&self) -> LoadCounts {
        let answered = self.answered.load(Ordering::Acquire);
        let submitted = self.submitted.load(Ordering::Acquire);
        LoadCounts { offered: self.offered.load(Ordering::Acquire), submitted, answered }
    }
}

/// An answer on its way back to the generator that asked.
#[derive(Debug)]
pub(super) struct Answer {
    /// The load that it belongs to.
    pub(super) load: u64,
    /// The caller within it.
    pub(super) client: usize,
    /// The outputs; `None` when the request was not answered with tensors.
    pub(super) outputs: Option<Vec<NamedTensor>>,
}

/// Where one load hands in its requests.
pub(super) struct Counter {
    pub(super) load: u64,
    pub(super) door: Arc<dyn Door>,
    pub(super) tally: Arc<Tally>,
    pub(super) in_flight: Arc<AtomicU64>,
    pub(super) mailbox: Sender<Message>,
}

impl Counter {
    /// Requests of this load without an answer.
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Hands in a request that nobody waits for.
    pub(super) fn submit(&self, inputs: Inputs, arrival: Instant) {
        self.hand_in(inputs, arrival, None);
    }

    /// Hands in a request of a caller who waits; the answer comes back as a message, with the
    /// outputs only where they are of use.
    pub(super) fn ask(&self, inputs: Inputs, arrival: Instant, client: usize, outputs: bool) {
        let waiting = Waiting { load: self.load, client, outputs, mailbox: self.mailbox.clone() };
        self.hand_in(inputs, arrival, Some(waiting));
    }

    fn hand_in(&self, inputs: Inputs, arrival: Instant, waiting: Option<Waiting>) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        self.tally.submitted.fetch_add(1, Ordering::AcqRel);
        let ticket =
            Ticket { tally: self.tally.clone(), in_flight: self.in_flight.clone(), waiting };
        self.door.submit(Request {
            inputs,
            arrival,
            reply: Box::new(|outcome| ticket.end(outcome)),
        });
    }
}

struct Waiting {
    load: u64,
    client: usize,
    outputs: bool,
    mailbox: Sender<Message>,
}

/// Travels with the request. Ends by its answer, or by being dropped: a door that breaks its word
/// and drops a reply must not silence a caller for ever.
struct Ticket {
    tally: Arc<Tally>,
    in_flight: Arc<AtomicU64>,
    waiting: Option<Waiting>,
}

impl Ticket {
    fn end(mut self, outcome: Outcome) {
        self.close(outcome.result.ok());
    }

    fn close(&mut self, outputs: Option<Vec<NamedTensor>>) {
        if let Some(waiting) = self.waiting.take() {
            let outputs = outputs.map(|tensors| if waiting.outputs { tensors } else { Vec::new() });
            let answer = Answer { load: waiting.load, client: waiting.client, outputs };
            // the driver may be gone: then nobody waits any more
            let _ = waiting.mailbox.send(Message::Answer(answer));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.close(None);
        self.tally.answered.fetch_add(1, Ordering::AcqRel);
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
