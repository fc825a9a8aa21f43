//! The state that a call shares with its bodies: its connection, its deadline and the bytes that it holds.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::{Duration, Instant};

use axum::http;

use super::deadline;
use super::decompress::Coding;
use super::large_steps::LargeSteps;
use crate::layout::ServerLimits;
use crate::server::activity::Connection;
use crate::server::in_flight::Reservation;
use crate::server::serve_error::{ErrorKind, ServeError};
use crate::server::state::ServerState;

/// A compressed message of this size leaves the runtime: it can hold a thousand times as many bytes, and reading
/// 1 MiB of them takes about 1 ms.
const LARGE_TO_DECOMPRESS: usize = 1 << 10;

/// Compressing this many bytes of tensors takes about 1 ms.
const LARGE_TO_COMPRESS: usize = 32 << 10;

/// One call of a method.
pub(super) struct Call {
    pub state: Arc<ServerState>,
    /// The limits at its start.
    pub limits: ServerLimits,
    /// The client's connection; `None` if another program accepts the connections.
    pub connection: Option<Connection>,
    /// The deadline that the client set for the call.
    deadline: Option<Instant>,
    /// True for a method whose requests are counted.
    counts: bool,
    /// The compression of the client's requests; its answers are compressed in the same way.
    coding: Option<Coding>,
    steps: LargeSteps,
    held: Mutex<HeldBytes>,
}

#[derive(Default)]
struct HeldBytes {
    /// Messages that are being read, in their order.
    messages: VecDeque<IncomingMessage>,
    /// Answers that wait for their frame.
    answers: Vec<Reservation>,
    /// The reason why a request could not be read.
    unread: Option<ErrorKind>,
    has_client_left: bool,
}

/// A message of a client whose first bytes have arrived.
pub(super) struct IncomingMessage {
    /// Its size in bytes, as sent.
    pub size: u64,
    /// Its compression, if the message's reader has to undo it.
    pub coding: Option<Coding>,
    pub reservation: Reservation,
}

impl Call {
    /// Creates a call from the head of its HTTP request. `counts` is true for a method whose requests are
    /// counted.
    pub(super) fn new<B>(
        state: Arc<ServerState>,
        request: &http::Request<B>,
        counts: bool,
    ) -> Arc<Self> {
        let connection = request.extensions().get::<Connection>().cloned();
        let timeout = deadline::read(request.headers());
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let limits = state.limits();
        let coding = Coding::named(request.headers().get("grpc-encoding"));
        Arc::new(Self {
            state,
            limits,
            connection,
            deadline,
            counts,
            coding,
            steps: LargeSteps::default(),
            held: Mutex::default(),
        })
    }

    /// Polls a part of the call, off the runtime if the last poll ended before a large step.
    pub(super) fn poll_steps<T>(&self, poll: impl FnOnce() -> T) -> T {
        self.steps.poll(poll)
    }

    /// Returns true if the poll must end before a compressed message of this size is read. The next poll comes at once.
    pub(super) fn ends_before_reading(&self, size: usize, context: &Context<'_>) -> bool {
        size >= LARGE_TO_DECOMPRESS && self.steps.end_poll(context)
    }

    /// Returns true if the poll must end before an answer with this many bytes of tensors is written. The next
    /// poll comes at once.
    pub(super) fn ends_before_writing(&self, size: usize, context: &Context<'_>) -> bool {
        self.is_large_answer(size) && self.steps.end_poll(context)
    }

    /// Announces an answer with this many bytes of tensors, which the next poll writes.
    pub(super) fn announce_answer(&self, size: usize) {
        if self.is_large_answer(size) {
            self.steps.announce();
        }
    }

    fn is_large_answer(&self, size: usize) -> bool {
        self.coding.is_some() && size >= LARGE_TO_COMPRESS
    }

    fn held(&self) -> MutexGuard<'_, HeldBytes> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time until the client's deadline; `None` if it set none.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Records that a request is expected: it counts as cancelled unless it is read.
    pub(super) fn expect_request(&self) {
        self.fail(ErrorKind::Cancelled);
    }

    /// Records the reason why a request cannot be read. It counts once, when the call ends.
    pub(super) fn fail(&self, kind: ErrorKind) {
        self.held().unread = self.counts.then_some(kind);
    }

    /// Records the reason why the expected request was not read. Another reason that is known already stays.
    pub(super) fn fail_unread(&self, kind: ErrorKind) {
        let mut held = self.held();
        if held.unread == Some(ErrorKind::Cancelled) && !held.has_client_left {
            held.unread = Some(kind);
        }
    }

    /// Records the reason why the next request of a stream cannot be read. Another reason that is known already
    /// stays; a client that leaves between its requests counts for nothing.
    pub(super) fn fail_stream(&self, kind: ErrorKind) {
        let mut held = self.held();
        if held.unread.is_none() && !held.has_client_left {
            held.unread = Some(kind);
        }
    }

    /// Records that the client reset the call or closed its connection.
    pub(super) fn client_left(&self) {
        self.held().has_client_left = true;
    }

    /// Records that the expected request was read.
    pub(super) fn request_was_read(&self) {
        self.held().unread = None;
    }

    /// Returns the compression of compressed requests that [`super::codec`] undoes; `None` if there is none, or if
    /// tonic does so: it knows no bound on the bytes in flight, and reads only small messages.
    pub(super) fn request_coding(&self) -> Option<Coding> {
        self.coding.filter(|_| self.counts)
    }

    /// Reserves the bytes of a message whose size, as sent, is known.
    ///
    /// # Errors
    /// [`ErrorKind::ServerFull`] if they do not fit the bound on bytes in flight.
    pub(super) fn begin_message(
        &self,
        size: u64,
        coding: Option<Coding>,
    ) -> Result<(), ServeError> {
        let Some(reservation) = self.state.in_flight.reserve(size) else {
            return Err(self.state.server_full(size));
        };
        self.held().messages.push_back(IncomingMessage { size, coding, reservation });
        Ok(())
    }

    /// Returns the oldest message that has not been taken.
    pub(super) fn take_message(&self) -> Option<IncomingMessage> {
        self.held().messages.pop_front()
    }

    /// Keeps the bytes of an answer in flight until its frame has been sent.
    pub(super) fn hold_answer(&self, reservation: Reservation) {
        self.held().answers.push(reservation);
    }

    /// Returns the bytes of the answers that the next frame contains.
    pub(super) fn take_answers(&self) -> Vec<Reservation> {
        std::mem::take(&mut self.held().answers)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(kind) = self.held().unread {
            self.state.activity.unknown_model().count(Some(kind));
        }
    }
}
