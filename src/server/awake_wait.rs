//! The wait for the answer to a lone request, awake if the model is fast.
//!
//! A thread that sleeps until an answer of some microseconds comes costs more time and CPU than one that waits
//! for it awake: the instance has to wake it. It waits awake only while it has nothing else to do, as far as it
//! can know: one client is connected and has one request open.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::state::ServerState;
use crate::pool::{Outcome, Pending, wake_collected};

/// The longest wait awake, and the longest time of the request before for which it is tried: about as much CPU
/// as two wake-ups cost.
const LONGEST: Duration = Duration::from_micros(60);

/// The time of the newest request, by which the time of the next one is guessed.
pub(super) struct AwakeWait {
    /// In microseconds.
    newest: AtomicU64,
}

impl Default for AwakeWait {
    fn default() -> Self {
        Self { newest: AtomicU64::new(u64::MAX) }
    }
}

impl AwakeWait {
    /// Returns true if the newest request was answered fast.
    fn is_worthwhile(&self) -> bool {
        u128::from(self.newest.load(Ordering::Relaxed)) < LONGEST.as_micros()
    }

    fn note(&self, outcome: &Outcome) {
        let time = (outcome.queue + outcome.compute).as_micros() as u64;
        if self.newest.load(Ordering::Relaxed) != time {
            self.newest.store(time, Ordering::Relaxed);
        }
    }
}

impl ServerState {
    /// Waits for the outcome of a request.
    pub(super) async fn outcome(&self, mut pending: Pending) -> Outcome {
        let is_lone = self.drain.admitted() == 1 && self.activity.open_connections() == 1;
        if is_lone {
            wake_collected();
        }
        let waits_awake = is_lone && self.awake_wait.is_worthwhile();
        let early = if waits_awake { pending.wait_awake(LONGEST) } else { None };
        let outcome = match early {
            Some(outcome) => outcome,
            None => pending.await,
        };
        self.awake_wait.note(&outcome);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_request_ends_the_waits() {
        let wait = AwakeWait::default();
        assert!(!wait.is_worthwhile(), "no request was answered yet");
        let answered = |queue: u64, compute: u64| {
            let (queue, compute) = (Duration::from_micros(queue), Duration::from_micros(compute));
            wait.note(&Outcome { result: Ok(Vec::new()), queue, compute });
            wait.is_worthwhile()
        };
        assert!(answered(5, 10));
        assert!(!answered(50, 10));
        assert!(!answered(1, 900));
        assert!(answered(1, 2));
    }
}
