//! The longest time in which a model had work and completed no request.
//!
//! Measured only after a request to do so: a completion then writes to memory that all instances
//! share, which every other request is spared.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// No work since the last note. Times are nanoseconds since the epoch, plus one.
const NEVER: u64 = 0;

/// Measures silences of one model, over all its instances.
#[derive(Debug)]
pub(super) struct SilenceMeter {
    epoch: Instant,
    is_on: AtomicBool,
    waiting_since: AtomicU64,
    last_completion: AtomicU64,
    longest_ns: AtomicU64,
}

impl SilenceMeter {
    pub(super) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            is_on: AtomicBool::new(false),
            waiting_since: AtomicU64::new(NEVER),
            last_completion: AtomicU64::new(NEVER),
            longest_ns: AtomicU64::new(0),
        }
    }

    /// Starts the measurement, or restarts it.
    pub(super) fn start(&self) {
        self.waiting_since.store(NEVER, Ordering::Relaxed);
        self.longest_ns.store(0, Ordering::Relaxed);
        self.is_on.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    pub(super) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest_ns.load(Ordering::Relaxed))
    }

    /// Notes whether any request waits or runs. Called by one thread.
    pub(super) fn note_work(&self, now: Instant, any: bool) {
        if !self.is_on.load(Ordering::Relaxed) {
            return;
        }
        let since = self.waiting_since.load(Ordering::Relaxed);
        match (any, since != NEVER) {
            (true, false) => self.waiting_since.store(self.nanos(now), Ordering::Relaxed),
            (false, true) => self.waiting_since.store(NEVER, Ordering::Relaxed),
            _ => {}
        }
    }

    pub(super) fn note_completion(&self, at: Instant) {
        if !self.is_on.load(Ordering::Relaxed) {
            return;
        }
        let at = self.nanos(at);
        let last = self.last_completion.fetch_max(at, Ordering::Relaxed);
        let since = self.waiting_since.load(Ordering::Relaxed);
        if since != NEVER {
            self.longest_ns.fetch_max(at.saturating_sub(last.max(since)), Ordering::Relaxed);
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.epoch).as_nanos() as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn silence_counts_only_with_work() {
        let start = Instant::now();
        let meter = SilenceMeter::new(start);
        meter.start();
        meter.note_completion(start);
        meter.note_completion(start + MS * 1000);
        assert_eq!(meter.longest(), Duration::ZERO);
        meter.note_work(start + MS * 1000, true);
        meter.note_completion(start + MS * 1030);
        meter.note_completion(start + MS * 1040);
        assert_eq!(meter.longest(), MS * 30);
    }

    #[test]
    fn work_before_the_start_is_no_silence() {
        let start = Instant::now();
        let meter = SilenceMeter::new(start);
        meter.note_work(start, true);
        meter.note_completion(start + MS);
        meter.start();
        meter.note_completion(start + MS * 500);
        assert_eq!(meter.longest(), Duration::ZERO);
    }
}
