//! Tells a request's fault from an instance's: after a failure, an instance runs the trial request.

use std::time::{Duration, Instant};

use super::inner::Inner;
use super::request::RequestError;
use super::serve::run;
use crate::engine::Instance;

/// Minimum time between two checks of one instance, so that wrong requests cost at most one trial
/// request per second.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The checks of one instance.
#[derive(Default)]
pub(super) struct HealthChecks {
    last: Option<Instant>,
}

impl HealthChecks {
    /// Returns true if the instance has to be replaced after a request ended with `error` at `now`: it
    /// panicked, or the engine failed for a reason that may not be the request's and fails on the trial
    /// request too. A failure that follows the last check within [`CHECK_INTERVAL`] is not checked.
    pub(super) fn is_broken(
        &mut self,
        error: &RequestError,
        now: Instant,
        trial: impl FnOnce() -> Result<(), String>,
    ) -> bool {
        match error {
            RequestError::Panicked { .. } => true,
            RequestError::Failed(_) if self.is_due(now) => {
                self.last = Some(now);
                trial().is_err()
            }
            _ => false,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.saturating_duration_since(last) >= CHECK_INTERVAL)
    }
}

/// Runs the trial request. An instance of a model without one passes.
///
/// # Errors
/// The reason why the instance cannot serve.
pub(super) fn run_trial(inner: &Inner, built: &mut dyn Instance) -> Result<(), String> {
    let Some(inputs) = inner.trial.request() else { return Ok(()) };
    let is_from_callers = inner.trial.is_from_callers();
    let source = if is_from_callers { ", the last good one of its callers," } else { "" };
    run(built, &inputs)
        .map(drop)
        .map_err(|error| format!("the trial request{source} failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineError;

    fn failed() -> RequestError {
        let reason = "no".to_owned().into();
        RequestError::Failed(EngineError::Run { engine: "synthetic", reason })
    }

    #[test]
    fn checks_run_once_per_interval() {
        let (mut checks, now) = (HealthChecks::default(), Instant::now());
        let fails = || Err(String::new());
        assert!(checks.is_broken(&failed(), now, fails));
        assert!(!checks.is_broken(&failed(), now + CHECK_INTERVAL / 2, fails));
        assert!(checks.is_broken(&failed(), now + CHECK_INTERVAL, fails));
    }

    #[test]
    fn invalid_requests_need_no_check() {
        let reason = "no".to_owned().into();
        let error = EngineError::InvalidRequest { engine: "synthetic", reason };
        let check = || panic!("it was checked");
        assert!(!HealthChecks::default().is_broken(&error.into(), Instant::now(), check));
    }

    #[test]
    fn panics_need_no_check() {
        let panicked = RequestError::Panicked { message: String::new() };
        assert!(HealthChecks::default().is_broken(&panicked, Instant::now(), || Ok(())));
    }
}
