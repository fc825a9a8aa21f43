//! The limit on the lines that a command writes to the log.

use std::time::{Duration, Instant};

/// The most lines per window.
pub(super) const MOST_LINES: u32 = 200;

/// Lets [`MOST_LINES`] lines per second pass, and counts the others.
#[derive(Debug)]
pub(super) struct LineLimit {
    began: Instant,
    passed: u32,
    left_out: u64,
}

impl LineLimit {
    /// The length of a window.
    pub(super) const WINDOW: Duration = Duration::from_secs(1);

    /// A limit whose first window begins now.
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, passed: 0, left_out: 0 }
    }

    /// Returns true if a line may pass; otherwise it counts as left out.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.began) >= Self::WINDOW {
            (self.began, self.passed) = (now, 0);
        }
        let allows = self.passed < MOST_LINES;
        if allows {
            self.passed += 1;
        } else {
            self.left_out += 1;
        }
        allows
    }

    /// Returns true if lines were left out that [`LineLimit::take_left_out`] has not returned.
    pub(super) fn has_left_out(&self) -> bool {
        self.left_out > 0
    }

    /// Counts lines that were left out elsewhere.
    pub(super) fn add_left_out(&mut self, lines: u64) {
        self.left_out += lines;
    }

    /// Returns the number of lines left out since the last call, once a window has passed since they were
    /// counted; 0 before.
    pub(super) fn take_left_out(&mut self, now: Instant) -> u64 {
        let is_over = now.saturating_duration_since(self.began) >= Self::WINDOW;
        if is_over { std::mem::take(&mut self.left_out) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surplus_lines_are_counted() {
        let start = Instant::now();
        let mut limit = LineLimit::new(start);
        let allowed = (0..500).filter(|_| limit.allows(start)).count();
        assert_eq!(allowed, MOST_LINES as usize);
        limit.add_left_out(7);
        assert_eq!(limit.take_left_out(start), 0);
        let later = start + LineLimit::WINDOW;
        assert_eq!(limit.take_left_out(later), 500 - u64::from(MOST_LINES) + 7);
        assert_eq!(limit.take_left_out(later), 0);
        assert!(limit.allows(later));
    }
}
