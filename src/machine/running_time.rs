//! Time in which the process runs. While it is stopped, as by Ctrl-Z or `kill -STOP`, no request can
//! make progress, so that time counts for no latency and no timeout.
//!
//! A process cannot see its own stop. Afterwards SIGCONT is pending, because [`watch_stops`] blocks it,
//! and the last sign of life is old; a thread that only lacked a core finds no SIGCONT. A stop of less
//! than a quarter of a second is not left out.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Without a sign of life for longer than this, the process may have been stopped.
const LONGEST_SILENCE_NS: u64 = 250_000_000;

/// Stops that are kept.
const MOST_STOPS: usize = 64;

/// A time in which the process was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessStop {
    /// When it was stopped, by [`running_now`].
    pub at: Instant,
    /// For how long.
    pub length: Duration,
}

/// The running time of a process. Times are nanoseconds since it was created.
#[derive(Default)]
struct RunningTime {
    /// The last sign of life.
    alive: AtomicU64,
    /// The length of all stops together.
    stopped: AtomicU64,
    /// The stops: when each began, by running time, and its length.
    stops: Mutex<Vec<(u64, u64)>>,
}

impl RunningTime {
    fn stops(&self) -> MutexGuard<'_, Vec<(u64, u64)>> {
        self.stops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the length of all stops until now. `was_continued` returns true if the process has been
    /// continued since the last call.
    fn stopped_until(&self, now: u64, was_continued: impl Fn() -> bool) -> u64 {
        // Acquire: a thread that sees the new sign of life sees the stop before it.
        if now.saturating_sub(self.alive.load(Ordering::Acquire)) > LONGEST_SILENCE_NS {
            self.note_alive(now, was_continued);
        }
        self.stopped.load(Ordering::Relaxed)
    }

    /// Notes a sign of life.
    fn note_alive(&self, now: u64, was_continued: impl Fn() -> bool) {
        let mut stops = self.stops();
        let silence = now.saturating_sub(self.alive.load(Ordering::Relaxed));
        // Asked in any case, so that a signal without a long stop does not count later.
        let is_stop = was_continued() && silence > LONGEST_SILENCE_NS;
        if is_stop {
            let before = self.stopped.fetch_add(silence, Ordering::Relaxed);
            stops.push((now - silence - before, silence));
            let surplus = stops.len().saturating_sub(MOST_STOPS);
            stops.drain(..surplus);
        }
        self.alive.fetch_max(now, Ordering::Release);
        drop(stops);
        if is_stop {
            let seconds = Duration::from_nanos(silence).as_secs_f64();
            tracing::warn!(
                "the process was stopped for {seconds:.1} s; this time counts for no latency and no \
                 timeout"
            );
        }
    }
}

static IS_WATCHING: AtomicBool = AtomicBool::new(false);

fn running_time() -> &'static (Instant, RunningTime) {
    static TIME: OnceLock<(Instant, RunningTime)> = OnceLock::new();
    TIME.get_or_init(|| (Instant::now(), RunningTime::default()))
}

fn nanos_since(start: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(start).as_nanos()).unwrap_or(u64::MAX)
}

/// Leaves the time in which the process is stopped out of [`running_now`] from now on. Call it once,
/// on the first thread and before it starts others: it blocks SIGCONT in all of them.
pub fn watch_stops() {
    let (start, time) = running_time();
    if continued::block() {
        time.note_alive(nanos_since(*start, Instant::now()), || false);
        IS_WATCHING.store(true, Ordering::Release);
    }
}

/// Returns the present instant without the time in which the process was stopped. Without
/// [`watch_stops`] it is `Instant::now()`.
pub fn running_now() -> Instant {
    let now = Instant::now();
    if !IS_WATCHING.load(Ordering::Relaxed) {
        return now;
    }
    let (start, time) = running_time();
    let stopped = time.stopped_until(nanos_since(*start, now), continued::take);
    now.checked_sub(Duration::from_nanos(stopped)).unwrap_or(now)
}

/// Notes that the process runs. Called often by one thread, so that a stop is measured exactly.
pub fn note_running() {
    if IS_WATCHING.load(Ordering::Relaxed) {
        let (start, time) = running_time();
        time.note_alive(nanos_since(*start, Instant::now()), continued::take);
    }
}

/// Returns the newest stops of the process, oldest first.
pub fn process_stops() -> Vec<ProcessStop> {
    let (start, time) = running_time();
    let stop = |(at, length): &(u64, u64)| ProcessStop {
        at: *start + Duration::from_nanos(*at),
        length: Duration::from_nanos(*length),
    };
    time.stops().iter().map(stop).collect()
}

#[cfg(unix)]
mod continued {
    use std::mem::zeroed;
    use std::ptr::null_mut;

    /// Returns the set that contains SIGCONT alone.
    fn signal() -> libc::sigset_t {
        // SAFETY: zeros are a valid `sigset_t`; both calls write a whole one and keep no pointer.
        unsafe {
            let mut set = zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGCONT);
            set
        }
    }

    /// Blocks SIGCONT in this thread and in those that it will start. A blocked SIGCONT still continues
    /// the process. Returns false if the system refuses.
    pub(super) fn block() -> bool {
        let set = signal();
        // SAFETY: the call reads one set and keeps no pointer.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, null_mut()) == 0 }
    }

    /// Returns true if the process has been continued since the last call.
    pub(super) fn take() -> bool {
        let set = signal();
        // SAFETY: sigpending writes a whole set, sigismember reads it, and neither keeps a pointer.
        // sigwait returns at once, since the signal is pending and blocked; only this function takes
        // it, and its callers hold a lock.
        unsafe {
            let mut pending: libc::sigset_t = zeroed();
            if libc::sigpending(&raw mut pending) != 0
                || libc::sigismember(&raw const pending, libc::SIGCONT) != 1
            {
                return false;
            }
            let mut taken = 0;
            libc::sigwait(&raw const set, &raw mut taken) == 0
        }
    }
}

#[cfg(not(unix))]
mod continued {
    pub(super) fn block() -> bool {
        false
    }

    pub(super) fn take() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn stop_is_left_out() {
        let time = RunningTime::default();
        time.note_alive(SECOND, || false);
        assert_eq!(time.stopped_until(21 * SECOND, || true), 20 * SECOND);
        assert_eq!(*time.stops(), [(SECOND, 20 * SECOND)]);
        assert_eq!(time.stopped_until(22 * SECOND, || false), 20 * SECOND);
        assert_eq!(time.stopped_until(32 * SECOND, || true), 30 * SECOND);
        assert_eq!(*time.stops(), [(SECOND, 20 * SECOND), (2 * SECOND, 10 * SECOND)]);
    }

    #[test]
    fn lack_of_a_core_is_no_stop() {
        let time = RunningTime::default();
        time.note_alive(SECOND, || false);
        assert_eq!(time.stopped_until(21 * SECOND, || false), 0);
        assert!(time.stops().is_empty());
    }

    #[test]
    fn signal_without_a_stop_is_forgotten() {
        let time = RunningTime::default();
        time.note_alive(SECOND, || false);
        let pending = AtomicBool::new(true);
        let take = || pending.swap(false, Ordering::Relaxed);
        time.note_alive(SECOND + 1000, take);
        assert_eq!(time.stopped_until(21 * SECOND, take), 0);
    }

    #[test]
    fn old_stops_are_dropped() {
        let time = RunningTime::default();
        for at in 1..200 {
            time.note_alive(at * SECOND, || true);
        }
        assert_eq!(time.stops().len(), MOST_STOPS);
    }
}
