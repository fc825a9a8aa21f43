//! The control of a run from outside on a system without Unix sockets: there is none.

use std::sync::Arc;

use super::args::RunArgs;
use super::record::RunRecordings;
use super::run_records::RunRecords;
use super::run_tokens::TokenFile;
use super::signals::StopSignals;
use super::startup::Startup;
use crate::command::CommandError;
use crate::scheduler::Scheduler;

/// The control of a run before its scheduler starts.
pub(super) struct RunControl;

/// The parts of a run that would be controlled from outside.
pub(super) struct ControlledRun<'a> {
    /// The scheduler.
    pub scheduler: &'a Arc<Scheduler>,
    /// The signals.
    pub signals: &'a StopSignals,
    /// The recordings of requests.
    pub recordings: Arc<RunRecordings>,
    /// The token of clients of the models.
    pub token: Option<TokenFile>,
}

/// The control of a run.
pub(super) struct RunningControl;

impl RunControl {
    /// Does nothing.
    ///
    /// # Errors
    /// Never.
    pub(super) fn bind(_: &RunArgs, _: &Startup<'_>, _: &RunRecords) -> Result<Self, CommandError> {
        Ok(Self)
    }

    /// Returns the name under which the live layout of the run is saved.
    pub(super) fn name(&self) -> &str {
        "run"
    }

    /// Does nothing.
    ///
    /// # Errors
    /// Never.
    pub(super) fn start(
        self,
        _: &Startup<'_>,
        _: &RunRecords,
        _: ControlledRun<'_>,
    ) -> Result<RunningControl, CommandError> {
        Ok(RunningControl)
    }
}

impl RunningControl {
    /// Does nothing.
    pub(super) fn stopping(&self) {}
}
