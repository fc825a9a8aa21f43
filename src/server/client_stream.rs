//! The stream of a client, with the times by which slow and idle clients are found.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::plain_answers::{REFUSAL_TIME, explain};
use super::unwritten_answers::UnwrittenAnswers;
use crate::layout::ServerLimits;

/// The activity of one connection. Streams and requests write it; the check of the connection reads it.
pub(super) struct ConnectionTimes {
    start: Instant,
    /// Requests whose answer has not been handed over whole.
    open: AtomicUsize,
    /// The end of the last request, or the start.
    idle_since: AtomicU64,
    /// The first byte of a head that is not complete.
    head_since: Stamp,
    /// The first write that the client has left no room for.
    blocked_since: Stamp,
    /// Answers of HTTP/2, whose client can hold up one of them.
    pub(super) answers: UnwrittenAnswers,
}

/// An instant in milliseconds since the start plus 1; 0 for none.
#[derive(Default)]
struct Stamp(AtomicU64);

/// The reason why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OverdueClient {
    /// The head of a request takes too long to arrive.
    SlowHead,
    /// The client takes nothing of an answer.
    SlowReader,
    /// There was no request for too long.
    Idle,
}

impl Stamp {
    fn set(&self, now: u64) {
        self.0.store(now + 1, Ordering::Relaxed);
    }

    fn clear(&self) {
        if self.is_set() {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    fn age(&self, now: u64) -> Option<Duration> {
        let at = self.0.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Duration::from_millis(now.saturating_sub(at)))
    }
}

impl ConnectionTimes {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            open: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            head_since: Stamp::default(),
            blocked_since: Stamp::default(),
            answers: UnwrittenAnswers::default(),
        }
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    /// Notes that a request's head has arrived.
    pub(super) fn begin_request(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.head_since.clear();
    }

    /// Notes that a request's answer has been handed over, or that the request has been dropped.
    pub(super) fn end_request(&self) {
        self.idle_since.store(self.now(), Ordering::Relaxed);
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns true if no request is open and no answer waits for the client.
    pub(super) fn is_idle(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
            && !self.blocked_since.is_set()
            && !self.answers.any()
    }

    /// Returns the reason to close the connection now; `None` to keep it.
    pub(super) fn overdue(&self, limits: &ServerLimits) -> Option<OverdueClient> {
        let now = self.now();
        let exceeds = |stamp: &Stamp, limit| stamp.age(now).is_some_and(|age| age > limit);
        if exceeds(&self.blocked_since, limits.send_timeout)
            || self.answers.longest_stall(now) > limits.send_timeout
        {
            return Some(OverdueClient::SlowReader);
        }
        if self.open.load(Ordering::Relaxed) > 0 || self.answers.any() {
            return None;
        }
        if exceeds(&self.head_since, limits.receive_timeout) {
            return Some(OverdueClient::SlowHead);
        }
        let idle = now.saturating_sub(self.idle_since.load(Ordering::Relaxed));
        let is_idle =
            !self.head_since.is_set() && Duration::from_millis(idle) > limits.idle_timeout;
        is_idle.then_some(OverdueClient::Idle)
    }

    fn note_read(&self) {
        if self.open.load(Ordering::Relaxed) == 0 && !self.head_since.is_set() {
            self.head_since.set(self.now());
        }
    }

    fn note_write<T>(&self, result: &Poll<io::Result<T>>) {
        if result.is_ready() {
            self.blocked_since.clear();
        } else if !self.blocked_since.is_set() {
            self.blocked_since.set(self.now());
        }
    }
}

/// The stream of a client. It first returns the bytes that were read to find out the protocol.
pub(super) struct ClientStream {
    stream: TcpStream,
    start: Vec<u8>,
    times: Arc<ConnectionTimes>,
    /// The largest head of a request in HTTP/1, in bytes; `None` in HTTP/2. In HTTP/1, bytes without an open
    /// request are the head of one.
    http1_head: Option<u64>,
    /// What is left to write of the last answer, which explains why a head cannot be read.
    last_answer: VecDeque<u8>,
    /// The end of the wait for the client to take that answer.
    last_wait: Option<Pin<Box<Sleep>>>,
}

impl ClientStream {
    pub(super) fn new(
        stream: TcpStream,
        start: Vec<u8>,
        times: Arc<ConnectionTimes>,
        http1_head: Option<u64>,
    ) -> Self {
        let last_answer = VecDeque::new();
        Self { stream, start, times, http1_head, last_answer, last_wait: None }
    }

    /// Replaces an answer that hyper gives by itself by one with a message. Returns false for another one.
    fn explain(&mut self, written: &[u8]) -> bool {
        let explained = self.http1_head.and_then(|limit| explain(written, limit));
        let Some(explained) = explained else { return false };
        self.last_answer.extend(explained);
        self.last_wait = Some(Box::pin(sleep(REFUSAL_TIME)));
        true
    }

    fn poll_write_last(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.last_answer.is_empty() {
            let (bytes, _) = self.last_answer.as_slices();
            let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
            self.times.note_write(&result);
            let written = ready!(result)?;
            self.last_answer.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what the client has still sent, for a moment, if its last answer says that its request cannot be
    /// read: closing a socket with unread bytes would discard that answer.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(wait) = &mut self.last_wait else { return Poll::Ready(()) };
        let mut space = [0; 4096];
        while wait.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = if self.start.is_empty() {
            Pin::new(&mut self.stream).poll_read(cx, buffer)
        } else {
            let length = self.start.len().min(buffer.remaining());
            let rest = self.start.split_off(length);
            buffer.put_slice(&self.start);
            self.start = rest;
            Poll::Ready(Ok(()))
        };
        if self.http1_head.is_some() && buffer.filled().len() > before {
            self.times.note_read();
        }
        result
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.explain(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.times.note_write(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        if let Some(first) = first.filter(|first| self.explain(first)) {
            return Poll::Ready(Ok(first.len()));
        }
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.times.note_write(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_last(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_last(cx))?;
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        ready!(self.poll_discard(cx));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(time: Duration) -> ConnectionTimes {
        let start = Instant::now().checked_sub(time).unwrap();
        ConnectionTimes { start, ..ConnectionTimes::new() }
    }

    #[test]
    fn overdue_clients_are_found() {
        let limits = ServerLimits {
            receive_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(30),
            ..ServerLimits::default()
        };
        assert_eq!(ago(Duration::from_secs(29)).overdue(&limits), None);
        let idle = ago(Duration::from_secs(31));
        assert_eq!(idle.overdue(&limits), Some(OverdueClient::Idle));
        idle.note_read();
        assert_eq!(idle.overdue(&limits), None, "a request arrives");
        idle.head_since.set(idle.now() - 10_001);
        assert_eq!(idle.overdue(&limits), Some(OverdueClient::SlowHead));
        idle.begin_request();
        assert_eq!(idle.overdue(&limits), None, "a request runs");
        idle.note_write::<()>(&Poll::Pending);
        assert_eq!(idle.overdue(&limits), None);
        assert!(!idle.is_idle());
        idle.blocked_since.set(idle.now() - 20_001);
        assert_eq!(idle.overdue(&limits), Some(OverdueClient::SlowReader));
        idle.note_write(&Poll::Ready(Ok(1)));
        idle.end_request();
        assert_eq!(idle.overdue(&limits), None);
        assert!(idle.is_idle());
    }
}
