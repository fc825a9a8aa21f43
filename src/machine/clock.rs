//! The clock: the time by which the scheduler and the built-in load decide what is due.
//!
//! It drives the arrivals of the load, samples, checks of the machine, queue timeouts, the windows of
//! verdicts, and the times in snapshots and in the journal. What measures divvy's own work does not
//! follow it: the stages of a change, the limits on waiting for an answer, the pauses that keep the
//! observer from taking too much of a core, and the latencies of real instances. A simulation has none
//! of these, or must not have their limits moved.
//!
//! The system's clock and the latencies leave out the time in which the process was stopped
//! ([`running_now`]), as by Ctrl-Z.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::running_time::running_now;

/// A source of time.
pub trait Clock: Debug + Send + Sync {
    /// Returns the present instant.
    fn now(&self) -> Instant;

    /// Returns the wall-clock time, in milliseconds since 1970.
    fn unix_ms(&self) -> u64;

    /// Returns how long a thread may sleep before it has to ask again whether `due` has come.
    fn sleep_until(&self, due: Instant) -> Duration;
}

/// The system's clock, without the time in which the process was stopped: see [`running_now`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        running_now()
    }

    fn unix_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as u64)
    }

    fn sleep_until(&self, due: Instant) -> Duration {
        due.saturating_duration_since(running_now())
    }
}

/// A simulated clock; it moves only when it is advanced.
#[derive(Debug)]
pub struct SimulatedClock {
    start: Instant,
    start_unix_ms: u64,
    /// Nanoseconds since the start.
    passed: AtomicU64,
}

impl SimulatedClock {
    /// Time between two questions of a sleeping thread, in real time.
    const POLL: Duration = Duration::from_millis(1);

    /// A clock at this wall-clock time, in milliseconds since 1970.
    pub fn new(start_unix_ms: u64) -> Self {
        Self { start: Instant::now(), start_unix_ms, passed: AtomicU64::new(0) }
    }

    /// Advances the clock. Threads that sleep until a time that has come notice it within a
    /// millisecond.
    pub fn advance(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.passed.fetch_add(nanos, Ordering::AcqRel);
    }

    fn passed(&self) -> Duration {
        Duration::from_nanos(self.passed.load(Ordering::Acquire))
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        self.start.checked_add(self.passed()).unwrap_or(self.start)
    }

    fn unix_ms(&self) -> u64 {
        self.start_unix_ms.saturating_add(self.passed().as_millis() as u64)
    }

    fn sleep_until(&self, due: Instant) -> Duration {
        if due <= self.now() { Duration::ZERO } else { Self::POLL }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_clock_moves_only_when_advanced() {
        let clock = SimulatedClock::new(1_000);
        let start = clock.now();
        let due = start + Duration::from_mins(1);
        assert!(clock.sleep_until(due) > Duration::ZERO);
        clock.advance(Duration::from_mins(1));
        assert_eq!((clock.now(), clock.unix_ms()), (due, 61_000));
        assert_eq!(clock.sleep_until(due), Duration::ZERO);
    }
}
