//! The bodies of a call. The request's body is bounded in size, in bytes in flight and in time; the answer's
//! body keeps its bytes in flight until they have been sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use super::call::Call;
use super::status;
use crate::server::in_flight::hold;
use crate::server::serve_error::{ErrorKind, ServeError};

/// The bytes before each message: a flag (1 if it is compressed) and its size, big-endian.
const HEAD: usize = 5;

/// The body of a request: messages, each after its head.
pub(super) struct RequestBody {
    inner: Body,
    call: Arc<Call>,
    /// True if there may be more than one message.
    is_stream: bool,
    head: [u8; HEAD],
    /// Bytes of `head` that have arrived.
    head_read: usize,
    /// The size of the message.
    size: usize,
    /// Bytes of the message that are still to arrive.
    left: usize,
    /// The size of the largest compressed message whose last byte is in the newest frame; 0 if there is none.
    compressed: usize,
    /// A frame that ends a large compressed message and waits for the next poll.
    waiting: Option<Frame<Bytes>>,
    messages: u64,
    /// Ends the wait for the rest of a message.
    timer: Option<Pin<Box<Sleep>>>,
    has_failed: bool,
}

impl RequestBody {
    pub(super) fn new(inner: Body, call: Arc<Call>, is_stream: bool) -> Self {
        Self {
            inner,
            call,
            is_stream,
            head: [0; HEAD],
            head_read: 0,
            size: 0,
            left: 0,
            compressed: 0,
            waiting: None,
            messages: 0,
            timer: None,
            has_failed: false,
        }
    }

    /// Follows the messages through the next bytes.
    fn scan(&mut self, mut data: &[u8]) -> Result<(), ServeError> {
        while !data.is_empty() {
            if self.left > 0 {
                let (_, rest) = data.split_at(data.len().min(self.left));
                self.left -= data.len() - rest.len();
                data = rest;
            } else {
                let (head, rest) = data.split_at(data.len().min(HEAD - self.head_read));
                for (slot, byte) in self.head.iter_mut().skip(self.head_read).zip(head) {
                    *slot = *byte;
                }
                self.head_read += head.len();
                data = rest;
                if self.head_read == HEAD {
                    self.begin_message()?;
                }
            }
            if !self.is_within_message() {
                self.timer = None;
                let [flag, ..] = self.head;
                if flag != 0 {
                    self.compressed = self.compressed.max(self.size);
                }
            }
        }
        Ok(())
    }

    fn begin_message(&mut self) -> Result<(), ServeError> {
        self.head_read = 0;
        self.messages += 1;
        if self.messages > 1 && !self.is_stream {
            let reason = "the call has more than one message; this method takes one";
            return Err(ServeError::bad_request(reason));
        }
        let [_, size @ ..] = self.head;
        let size = u32::from_be_bytes(size);
        let limit = self.call.limits.body;
        if u64::from(size) > limit {
            return Err(ServeError::too_large(limit));
        }
        self.call.begin_message(u64::from(size))?;
        self.size = size as usize;
        self.left = self.size;
        Ok(())
    }

    fn is_within_message(&self) -> bool {
        self.head_read > 0 || self.left > 0
    }

    fn fail(&mut self, error: &ServeError) -> Status {
        self.has_failed = true;
        self.call.fail(error.kind);
        status(error)
    }

    /// Waits for more bytes, but not longer than a client may take to send a message. Between the messages of
    /// a stream there is no limit.
    fn poll_timeout(&mut self, context: &mut Context<'_>) -> Poll<ServeError> {
        if self.is_stream && !self.is_within_message() {
            return Poll::Pending;
        }
        let timeout = self.call.limits.receive_timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(timer.as_mut().poll(context));
        let reason = format!("the request did not arrive within {timeout:?}");
        Poll::Ready(ServeError::new(ErrorKind::SlowSender, reason))
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.has_failed {
            return Poll::Ready(None);
        }
        if let Some(frame) = self.waiting.take() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let frame = match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Pending => {
                let error = ready!(self.poll_timeout(context));
                return Poll::Ready(Some(Err(self.fail(&error))));
            }
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(end) => {
                if end.is_some() {
                    self.call.client_left();
                }
                return Poll::Ready(end);
            }
        };
        if let Some(data) = frame.data_ref() {
            if let Some(connection) = &self.call.connection {
                connection.add_received(data.len() as u64);
            }
            self.compressed = 0;
            if let Err(error) = self.scan(data) {
                return Poll::Ready(Some(Err(self.fail(&error))));
            }
            if self.call.ends_before_reading(self.compressed, context) {
                self.waiting = Some(frame);
                return Poll::Pending;
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.has_failed || (self.waiting.is_none() && self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer. Its frames hold the answers' bytes in flight until they have been sent.
pub(super) struct AnswerBody {
    inner: Body,
    call: Arc<Call>,
}

impl AnswerBody {
    pub(super) fn new(inner: Body, call: Arc<Call>) -> Self {
        Self { inner, call }
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let call = self.call.clone();
        let frame = ready!(call.poll_steps(|| Pin::new(&mut self.inner).poll_frame(context)));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|bytes| {
                    if let Some(connection) = &self.call.connection {
                        connection.add_sent(bytes.len() as u64);
                    }
                    let answers = self.call.take_answers();
                    if answers.is_empty() { bytes } else { hold(bytes, answers) }
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
