//! The answers of an HTTP/2 connection that their client has not taken.
//!
//! HTTP/2 has a window per stream: a client can keep it closed while it reads everything else, so the socket
//! never shows that an answer does not move. Each answer therefore counts the bytes that the connection has
//! got and those that it has written.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::{Buf, Bytes};

/// The answers of one connection whose bytes have not all been written.
#[derive(Default)]
pub(super) struct UnwrittenAnswers {
    /// Ended answers leave their place to new ones, so there are as many places as streams at a time.
    answers: Mutex<Vec<Weak<AnswerProgress>>>,
}

/// The bytes of one answer.
pub(super) struct AnswerProgress {
    /// Bytes that the connection has got.
    got: AtomicU64,
    /// Bytes that it has written or dropped.
    written: AtomicU64,
    /// `written` at the last check; `u64::MAX` before the first one and while nothing is unwritten.
    checked: AtomicU64,
    /// The first check with this `written`, in milliseconds.
    checked_at: AtomicU64,
}

/// A part of an answer. Counts its bytes as the connection writes them.
pub(super) struct AnswerData {
    bytes: Bytes,
    /// `None` in HTTP/1, where the socket shows what the client takes.
    progress: Option<Arc<AnswerProgress>>,
}

const UNCHECKED: u64 = u64::MAX;

impl UnwrittenAnswers {
    /// Adds an answer.
    pub(super) fn add(&self) -> Arc<AnswerProgress> {
        let answer = Arc::new(AnswerProgress {
            got: AtomicU64::new(0),
            written: AtomicU64::new(0),
            checked: AtomicU64::new(UNCHECKED),
            checked_at: AtomicU64::new(0),
        });
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match answers.iter_mut().find(|place| place.strong_count() == 0) {
            Some(place) => *place = Arc::downgrade(&answer),
            None => answers.push(Arc::downgrade(&answer)),
        }
        answer
    }

    fn present(&self) -> Vec<Arc<AnswerProgress>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().filter_map(Weak::upgrade).collect()
    }

    /// Returns true if an answer has unwritten bytes.
    pub(super) fn any(&self) -> bool {
        self.present().iter().any(|answer| answer.is_unwritten())
    }

    /// Returns the longest time in which the client has taken nothing of an answer, as far as checks have shown
    /// it. `now` is in milliseconds.
    pub(super) fn longest_stall(&self, now: u64) -> Duration {
        let longest = self.present().iter().map(|answer| answer.stall(now)).max();
        Duration::from_millis(longest.unwrap_or(0))
    }
}

impl AnswerProgress {
    fn is_unwritten(&self) -> bool {
        self.got.load(Ordering::Relaxed) != self.written.load(Ordering::Relaxed)
    }

    /// Returns the time since the first check that found the same bytes written, in milliseconds. Only the check
    /// calls it, so requests need no clock.
    fn stall(&self, now: u64) -> u64 {
        let written = self.written.load(Ordering::Relaxed);
        let found = if self.is_unwritten() { written } else { UNCHECKED };
        if self.checked.swap(found, Ordering::Relaxed) != found || found == UNCHECKED {
            self.checked_at.store(now, Ordering::Relaxed);
        }
        now.saturating_sub(self.checked_at.load(Ordering::Relaxed))
    }
}

impl AnswerData {
    /// Hands a part of an answer to its connection.
    pub(super) fn new(bytes: Bytes, progress: Option<&Arc<AnswerProgress>>) -> Self {
        if let Some(progress) = progress {
            progress.got.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        Self { bytes, progress: progress.cloned() }
    }

    fn count(&self, written: usize) {
        if let Some(progress) = &self.progress {
            progress.written.fetch_add(written as u64, Ordering::Relaxed);
        }
    }
}

impl Buf for AnswerData {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.count(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        self.count(length);
        self.bytes.copy_to_bytes(length)
    }
}

impl Drop for AnswerData {
    fn drop(&mut self) {
        self.count(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stall_ends_with_each_byte_taken() {
        let answers = UnwrittenAnswers::default();
        let stall = |now: u64| answers.longest_stall(now).as_millis();
        assert_eq!(stall(500), 0, "there is no answer");
        let progress = answers.add();
        assert_eq!((stall(600), answers.any()), (0, false), "nothing has been handed over");
        let mut data = AnswerData::new(Bytes::from_static(b"abcd"), Some(&progress));
        assert_eq!([stall(1000), stall(1300)], [0, 300]);
        data.advance(1);
        assert_eq!([stall(1400), stall(1500)], [0, 100]);
        data.advance(3);
        assert_eq!((stall(9000), answers.any()), (0, false), "all is written");
        drop(data);
        assert_eq!(stall(9500), 0);
    }

    #[test]
    fn reset_answer_is_not_unwritten() {
        let answers = UnwrittenAnswers::default();
        let progress = answers.add();
        let data = AnswerData::new(Bytes::from_static(b"abcd"), Some(&progress));
        assert!(answers.any());
        drop(data);
        assert!(!answers.any());
    }

    #[test]
    fn ended_answers_leave_their_places() {
        let answers = UnwrittenAnswers::default();
        let first = answers.add();
        for _ in 0..10 {
            answers.add();
        }
        assert_eq!(answers.answers.lock().unwrap().len(), 2);
        drop(first);
    }
}
