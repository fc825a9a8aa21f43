//! Requests with one right answer each, and the counts of a run.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use divvy::telemetry::Protocol;

use crate::models::{ELEMENTS, MODELS, constant};

/// The name of no model.
const NOBODY: &str = "nobody";

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Good,
    /// Its input has another shape than the model's.
    WrongShape,
    /// It may wait for 1 us only.
    Late,
    /// It names no model of the layout.
    UnknownModel,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct TestRequest {
    /// Its number in the run, which also sets its input.
    pub number: u32,
    pub model: &'static str,
    pub kind: RequestKind,
}

/// The end of a request, as its client sees it.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer {
        id: String,
        model: String,
        values: Vec<f32>,
    },
    /// The status is that of HTTP or gRPC; `None` in a stream, whose errors have none.
    Refusal {
        status: Option<u16>,
        message: String,
    },
}

impl TestRequest {
    pub(crate) fn id(&self) -> String {
        format!("request {}", self.number)
    }

    pub(crate) fn values(&self) -> Vec<f32> {
        let count = if self.kind == RequestKind::WrongShape { ELEMENTS - 1 } else { ELEMENTS };
        (0..count).map(|at| self.number as f32 + at as f32).collect()
    }

    /// Returns the limit on its time in the queue, in microseconds.
    pub(crate) fn timeout(&self) -> Option<i64> {
        (self.kind == RequestKind::Late).then_some(1)
    }

    /// Checks that a reply is the right one for this request.
    pub(crate) fn check(&self, protocol: Protocol, reply: &Reply) -> Result<(), String> {
        match reply {
            Reply::Answer { id, model, values } => {
                let right: Vec<f32> =
                    self.values().iter().map(|value| value + constant(model)).collect();
                let served = matches!(self.kind, RequestKind::Good | RequestKind::Late);
                if served && *id == self.id() && model == self.model && *values == right {
                    return Ok(());
                }
            }
            Reply::Refusal { status, message } => {
                let known = status.is_none_or(|status| self.refusals(protocol).contains(&status));
                if known && message.contains(self.model) {
                    return Ok(());
                }
            }
        }
        Err(format!("{self:?} over {protocol:?} ended with {reply:?}"))
    }

    /// Returns the statuses with which it may be refused: its own fault's, and those of a model that is
    /// removed, at the end of its queue or of its time.
    fn refusals(&self, protocol: Protocol) -> Vec<u16> {
        let (own, of_changes) = match protocol {
            Protocol::Http => ([404, 400], [404, 429, 503, 504]),
            Protocol::Grpc => ([5, 3], [5, 8, 14, 4]),
        };
        match self.kind {
            RequestKind::UnknownModel => own[..1].into(),
            RequestKind::WrongShape => [own[1..].to_vec(), of_changes.into()].concat(),
            RequestKind::Good | RequestKind::Late => of_changes.into(),
        }
    }
}

/// The requests of a run and their ends.
pub(crate) struct Run {
    requests: u32,
    next: AtomicU32,
    pub answered: AtomicUsize,
    pub completed: AtomicUsize,
    pub unexpected: AtomicUsize,
    /// Refusals by protocol and status.
    pub refusals: Mutex<BTreeMap<(String, u16), usize>>,
}

impl Run {
    pub(crate) fn new(requests: u32) -> Self {
        Self {
            requests,
            next: AtomicU32::new(0),
            answered: AtomicUsize::new(0),
            completed: AtomicUsize::new(0),
            unexpected: AtomicUsize::new(0),
            refusals: Mutex::default(),
        }
    }

    /// Returns the next request; `None` at the end of the run. Four of a hundred are careless.
    pub(crate) fn next_request(&self, random: &mut fastrand::Rng) -> Option<TestRequest> {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let kind = match random.u8(0..100) {
            0 => RequestKind::WrongShape,
            1..3 => RequestKind::Late,
            3 => RequestKind::UnknownModel,
            _ => RequestKind::Good,
        };
        let model = if kind == RequestKind::UnknownModel {
            NOBODY
        } else {
            MODELS[random.usize(..MODELS.len())]
        };
        (number < self.requests).then_some(TestRequest { number, model, kind })
    }

    /// Counts the reply to a request.
    pub(crate) fn count(&self, request: &TestRequest, protocol: Protocol, reply: &Reply) {
        if let Err(unexpected) = request.check(protocol, reply) {
            eprintln!("{unexpected}");
            self.unexpected.fetch_add(1, Ordering::SeqCst);
        }
        match reply {
            Reply::Answer { .. } => {
                self.completed.fetch_add(1, Ordering::SeqCst);
            }
            Reply::Refusal { status, .. } => {
                let key = (format!("{protocol:?}"), status.unwrap_or_default());
                *self.refusals.lock().unwrap().entry(key).or_default() += 1;
            }
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
    }
}
