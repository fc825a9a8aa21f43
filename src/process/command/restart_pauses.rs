//! The pauses between the end of a command and its next start.

use std::time::Duration;

/// The first pause.
const SHORTEST: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST: Duration = Duration::from_mins(1);

/// The duration of a run after which the first pause is due again.
const GOOD_RUN: Duration = Duration::from_mins(1);

/// The pauses of one command: 1 s, doubling to 60 s; 1 s again after a run of 60 s.
#[derive(Clone, Copy, Debug)]
pub(super) struct RestartPauses {
    next: Duration,
}

impl Default for RestartPauses {
    fn default() -> Self {
        Self { next: SHORTEST }
    }
}

impl RestartPauses {
    /// Returns the pause after a run of this duration.
    pub(super) fn after_run(&mut self, run: Duration) -> Duration {
        if run >= GOOD_RUN {
            *self = Self::default();
        }
        let pause = self.next;
        self.next = LONGEST.min(pause * 2);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_minute() {
        let mut pauses = RestartPauses::default();
        let seconds: Vec<u64> =
            (0..8).map(|_| pauses.after_run(Duration::from_secs(3)).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn long_run_resets_the_pauses() {
        let mut pauses = RestartPauses::default();
        for _ in 0..5 {
            pauses.after_run(Duration::from_secs(59));
        }
        assert_eq!(pauses.after_run(Duration::from_mins(1)), SHORTEST);
        assert_eq!(pauses.after_run(Duration::ZERO), SHORTEST * 2);
    }
}
