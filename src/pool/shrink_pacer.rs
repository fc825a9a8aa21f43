//! The pace at which a pool frees memory that it holds above its budget: one attempt at a time, with
//! longer pauses after attempts that did not help.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The pause after the first attempt that did not help; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Decides when the next attempt may start.
#[derive(Default)]
pub(super) struct ShrinkPacer {
    state: Mutex<Attempts>,
}

#[derive(Default)]
struct Attempts {
    running: bool,
    /// The last pause; `None` after an attempt that helped.
    pause: Option<Duration>,
    /// The end of the pause.
    next: Option<Instant>,
}

/// A running attempt. Dropping it without [`ShrinkTurn::end`] counts as one that did not help.
pub(super) struct ShrinkTurn<'a> {
    pacer: &'a ShrinkPacer,
    helped: bool,
}

impl ShrinkPacer {
    fn state(&self) -> MutexGuard<'_, Attempts> {
        // no code panics while it holds this lock
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if an attempt may start at `now`, and reserves it. The caller runs
    /// [`ShrinkPacer::turn`] in it, or [`ShrinkPacer::turn`] and drops the turn if it cannot.
    pub(super) fn reserve(&self, now: Instant) -> bool {
        let mut state = self.state();
        if state.running || state.next.is_some_and(|next| now < next) {
            return false;
        }
        state.running = true;
        true
    }

    /// Returns the turn of a reserved attempt.
    pub(super) fn turn(&self) -> ShrinkTurn<'_> {
        ShrinkTurn { pacer: self, helped: false }
    }

    /// Forgets the pause, because the budget has changed.
    pub(super) fn reset(&self) {
        let mut state = self.state();
        (state.pause, state.next) = (None, None);
    }
}

impl ShrinkTurn<'_> {
    /// Ends the attempt. `is_within` is true if the model is within its budget now.
    pub(super) fn end(mut self, is_within: bool) {
        self.helped = is_within;
    }
}

impl Drop for ShrinkTurn<'_> {
    fn drop(&mut self) {
        let mut state = self.pacer.state();
        state.running = false;
        let longer = |pause: Duration| (pause * 2).min(LONGEST_PAUSE);
        state.pause = (!self.helped).then(|| state.pause.map_or(FIRST_PAUSE, longer));
        state.next = state.pause.map(|pause| Instant::now() + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_attempt_runs_at_a_time() {
        let pacer = ShrinkPacer::default();
        let now = Instant::now();
        assert!(pacer.reserve(now));
        assert!(!pacer.reserve(now + LONGEST_PAUSE), "it still runs");
        pacer.turn().end(true);
        assert!(pacer.reserve(now), "no pause after an attempt that helped");
    }

    #[test]
    fn pause_doubles_while_nothing_helps() {
        let pacer = ShrinkPacer::default();
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(pacer.reserve(Instant::now() + LONGEST_PAUSE * 2));
            drop(pacer.turn());
            assert_eq!(pacer.state().pause, Some(Duration::from_secs(pause)));
        }
        assert!(!pacer.reserve(Instant::now()));
        pacer.reset();
        assert!(pacer.reserve(Instant::now()), "a new budget is tried at once");
    }
}
