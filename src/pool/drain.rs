//! The end of a pool: its requests are answered, and its threads end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::gate_state::Seats;
use super::handle::Pool;
use super::rejection::Rejection;

/// The time that loads and builds have to end before their next step at the end of the program.
const BUILD_PATIENCE: Duration = Duration::from_millis(250);

impl Pool {
    /// Stops admission and answers waiting requests for at most `patience`, then rejects the rest.
    /// Running requests are always answered. Returns true if the model's load and all instances have
    /// ended.
    pub fn drain(&self, patience: Duration) -> bool {
        self.end_requests(patience);
        // A running request, load or build cannot be interrupted: wait for it as long again.
        let until = Instant::now() + patience;
        sleep_until(until, || self.has_ended())
    }

    /// As [`Pool::drain`], at the end of the program: once no instance serves any more, waits only a moment
    /// for loads, builds and trial requests. Nobody waits for these, and they cannot be interrupted. Those
    /// that still run are among [`super::engine_threads`].
    pub fn shut_down(&self, patience: Duration) -> bool {
        self.end_requests(patience);
        let until = Instant::now() + patience;
        sleep_until(until, || self.has_ended() || self.only_builds());
        sleep_until(until.min(Instant::now() + BUILD_PATIENCE), || self.has_ended())
    }

    /// Returns true if the model's load and all instances have ended, including those that were being
    /// built.
    pub fn has_ended(&self) -> bool {
        self.inner.builders.is_empty() && self.builds().have_ended()
    }

    /// Returns true if all threads load, build or run a trial request.
    fn only_builds(&self) -> bool {
        let workers = self.builds().workers();
        workers <= self.inner.builders.len()
    }

    /// Stops admission, and answers or rejects waiting requests.
    fn end_requests(&self, patience: Duration) {
        let until = Instant::now() + patience;
        self.inner.gate.close();
        self.inner.tap.close();
        self.cancel_builds();
        let can_drain = |seats: Seats| seats.bound > 0 && seats.any();
        while can_drain(self.seats()) && self.waiting() > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.inner.reject_waiting(Rejection::Removed);
        self.inner.stop_repairs();
        self.inner.replies.wait_for_answers(patience);
    }

    /// Ends the load and the pending build before their next step; instances that broke are still
    /// repaired, since requests may wait for them.
    fn cancel_builds(&self) {
        self.inner.is_draining.store(true, Ordering::SeqCst);
        self.builds().cancel(&self.inner);
        self.inner.wake_builders();
    }

    fn waiting(&self) -> u64 {
        let counts = self.inner.gate.counts();
        counts.queued + counts.blocked
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.inner.gate.close();
        self.inner.tap.close();
        self.cancel_builds();
        self.inner.stop_repairs();
        self.inner.reject_waiting(Rejection::Removed);
    }
}

/// Waits until `is_over`, for at most until `until`. Returns the last answer.
fn sleep_until(until: Instant, is_over: impl Fn() -> bool) -> bool {
    while !is_over() {
        if Instant::now() >= until {
            return is_over();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}
