//! The bodies of a call. The request's body is bounded in size, in bytes in flight and in time; the answer's
//! body keeps its bytes in flight until they have been sent.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use super::call::Call;
use super::decompress::Coding;
use super::status;
use crate::server::in_flight::hold;
use crate::server::serve_error::{ErrorKind, ServeError};

/// The bytes before each message: a flag (1 if it is compressed) and its size, big-endian.
const HEAD: usize = 5;

/// The flag of a message that is not compressed, and that of one that is.
const PLAIN: &[u8] = &[0];
const COMPRESSED: u8 = 1;

/// The body of a request: messages, each after its head. The flag of a compressed request is cleared, so that
/// tonic hands it on as it is.
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
    /// Frames for the next polls.
    waiting: VecDeque<Frame<Bytes>>,
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
            waiting: VecDeque::new(),
            messages: 0,
            timer: None,
            has_failed: false,
        }
    }

    /// Follows the messages through the next bytes. Returns the places of the flags to clear.
    fn scan(&mut self, frame: &[u8]) -> Result<Vec<usize>, ServeError> {
        let (mut data, mut flags) = (frame, Vec::new());
        while !data.is_empty() {
            if self.left > 0 {
                let (_, rest) = data.split_at(data.len().min(self.left));
                self.left -= data.len() - rest.len();
                data = rest;
            } else {
                let is_cleared = data.first() == Some(&COMPRESSED) && self.coding().is_some();
                if self.head_read == 0 && is_cleared {
                    flags.push(frame.len() - data.len());
                }
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
        Ok(flags)
    }

    /// Returns the compression of compressed messages whose flag is cleared.
    fn coding(&self) -> Option<Coding> {
        self.call.request_coding()
    }

    fn begin_message(&mut self) -> Result<(), ServeError> {
        self.head_read = 0;
        self.messages += 1;
        if self.messages > 1 && !self.is_stream {
            let reason = "the call has more than one message; this method takes one";
            return Err(ServeError::bad_request(reason));
        }
        let [flag, size @ ..] = self.head;
        let size = u32::from_be_bytes(size);
        let limit = self.call.limits.body;
        if u64::from(size) > limit {
            return Err(ServeError::too_large(limit));
        }
        let coding = self.coding().filter(|_| flag == COMPRESSED);
        self.call.begin_message(u64::from(size), coding)?;
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

/// Returns the frames of the same bytes in which the flags at these places are those of plain messages.
fn with_plain_flags(mut data: Bytes, flags: &[usize]) -> VecDeque<Frame<Bytes>> {
    let mut pieces = VecDeque::with_capacity(2 * flags.len() + 1);
    let mut start = 0;
    for flag in flags {
        pieces.push_back(data.split_to(flag - start));
        data.advance(PLAIN.len());
        pieces.push_back(Bytes::from_static(PLAIN));
        start = flag + PLAIN.len();
    }
    pieces.push_back(data);
    pieces.retain(|piece| !piece.is_empty());
    pieces.into_iter().map(Frame::data).collect()
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
        if let Some(frame) = self.waiting.pop_front() {
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
        if let Some(data) = frame.data_ref().cloned() {
            if let Some(connection) = &self.call.connection {
                connection.add_received(data.len() as u64);
            }
            self.compressed = 0;
            let flags = match self.scan(&data) {
                Ok(flags) => flags,
                Err(error) => return Poll::Ready(Some(Err(self.fail(&error)))),
            };
            let ends = self.call.ends_before_reading(self.compressed, context);
            if ends || !flags.is_empty() {
                self.waiting = with_plain_flags(data, &flags);
            }
            if ends {
                return Poll::Pending;
            }
            if let Some(first) = self.waiting.pop_front() {
                return Poll::Ready(Some(Ok(first)));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.has_failed || (self.waiting.is_empty() && self.inner.is_end_stream())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_cleared_in_place() {
        let data = Bytes::from_static(&[1, 10, 20, 1, 30]);
        for flags in [&[][..], &[0], &[3], &[0, 3], &[4]] {
            let frames = with_plain_flags(data.clone(), flags);
            let bytes = frames.into_iter().flat_map(|frame| frame.into_data().unwrap());
            let mut expected = data.to_vec();
            for flag in flags {
                expected[*flag] = 0;
            }
            assert_eq!(bytes.collect::<Vec<u8>>(), expected, "{flags:?}");
        }
    }
}
