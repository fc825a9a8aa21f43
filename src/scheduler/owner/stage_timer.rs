//! Times the stages of a change.

use std::time::Instant;

use crate::telemetry::ChangeStages;

/// Times the stages of a change, one after another.
pub(super) struct StageTimer {
    last: Instant,
    stages: ChangeStages,
}

impl StageTimer {
    /// A timer whose first stage began at `start`.
    pub(super) fn new(start: Instant) -> Self {
        Self { last: start, stages: ChangeStages::default() }
    }

    /// Ends a stage.
    pub(super) fn end(&mut self, stage: impl FnOnce(&mut ChangeStages) -> &mut f64) {
        let now = Instant::now();
        *stage(&mut self.stages) += now.saturating_duration_since(self.last).as_secs_f64() * 1e6;
        self.last = now;
    }

    /// Returns when the last stage ended.
    pub(super) fn last(&self) -> Instant {
        self.last
    }

    /// Returns the durations so far.
    pub(super) fn stages(&self) -> ChangeStages {
        self.stages
    }
}
