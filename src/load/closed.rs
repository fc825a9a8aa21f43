//! Closed loop: callers that each wait for their reply, think, and ask again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::open::BATCH;
use super::requests::Sequence;
use super::ticket::Counter;

/// The first pause after a request that was not answered.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a caller waits before it asks again: its think time, or longer after `failures` in a
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
enum Place {
    /// Not one of the callers.
    Away,
    /// Asks at its due time, which is in the heap.
    Thinking,
    /// Waits for its reply.
    Asking,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    place: Place,
    failures: u32,
}

/// A closed loop.
pub(super) struct ClosedLoop {
    sequence: Sequence,
    think: Duration,
    wanted: usize,
    clients: Vec<Client>,
    due: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl ClosedLoop {
    pub(super) fn new(sequence: Sequence, clients: usize, think: Duration, now: Instant) -> Self {
        let mut closed = Self {
            sequence,
            think,
            wanted: 0,
            clients: Vec::new(),
            due: BinaryHeap::with_capacity(clients),
        };
        closed.resize(clients, think, now);
        closed
    }

    /// Changes the number of callers. New ones ask at once; those too many leave when their reply
    /// comes or before they ask again.
    pub(super) fn resize(&mut self, clients: usize, think: Duration, now: Instant) {
        self.think = think;
        self.wanted = clients;
        let away = Client { place: Place::Away, failures: 0 };
        self.clients.resize(self.clients.len().max(clients), away);
        for (index, client) in self.clients.iter_mut().enumerate().take(clients) {
            if client.place == Place::Away {
                *client = Client { place: Place::Thinking, failures: 0 };
                self.due.push(Reverse((now, index)));
            }
        }
    }

    /// A caller has its reply.
    pub(super) fn answered(&mut self, index: usize, success: bool, now: Instant) {
        let Some(client) = self.clients.get_mut(index) else { return };
        client.failures = if success { 0 } else { client.failures.saturating_add(1) };
        if index >= self.wanted {
            client.place = Place::Away;
        } else {
            client.place = Place::Thinking;
            self.due.push(Reverse((now + pause(self.think, client.failures), index)));
        }
    }

    /// Lets all callers ask whose time has come; says when the next one will.
    pub(super) fn step(&mut self, now: Instant, counter: &Counter) -> Option<Instant> {
        for _ in 0..BATCH {
            let Some(Reverse((arrival, index))) = self.due.peek().copied() else { break };
            if arrival > now {
                break;
            }
            self.due.pop();
            let Some(client) = self.clients.get_mut(index) else { continue };
            if index >= self.wanted {
                client.place = Place::Away;
                continue;
            }
            client.place = Place::Asking;
            counter.tally.offer(1);
            counter.ask(self.sequence.next().0, arrival, index, false);
        }
        self.due.peek().map(|Reverse((due, _))| *due)
    }
}
