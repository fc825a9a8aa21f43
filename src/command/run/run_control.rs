//! The control of a run from outside: its socket, its reloads, and the service manager.

use std::sync::Arc;

use super::args::RunArgs;
use super::control_host::BoundControl;
use super::detached_log::DetachedLog;
use super::record::RunRecordings;
use super::reload::{ReloadSources, ReloadTriggers, Reloader, follow};
use super::run_records::RunRecords;
use super::run_tokens::{RunTokens, TokenFile};
use super::service::ServiceManager;
use super::signals::StopSignals;
use super::startup::Startup;
use crate::command::CommandError;
use crate::control::ControlServer;
use crate::scheduler::{Control, Scheduler};

/// The control of a run before its scheduler starts.
pub(super) struct RunControl {
    socket: BoundControl,
    service: ServiceManager,
    /// True if layouts are scaled to the machine (`--fit`).
    fits: bool,
    /// True if changes of the layout file are followed (`--watch`).
    watches: bool,
    /// The file of standard error of a run in the background.
    log: Option<DetachedLog>,
}

/// The parts of a run that are controlled from outside.
pub(super) struct ControlledRun<'a> {
    /// The scheduler.
    pub scheduler: &'a Arc<Scheduler>,
    /// The signals, some of which ask for a reload.
    pub signals: &'a StopSignals,
    /// The recordings of requests.
    pub recordings: Arc<RunRecordings>,
    /// The token of clients of the models.
    pub token: Option<TokenFile>,
}

/// The control of a run. Dropping it closes the socket.
pub(super) struct RunningControl {
    /// `None` without a socket.
    _socket: Option<ControlServer>,
    service: ServiceManager,
}

impl RunControl {
    /// Checks the arguments and binds the socket, so that a fault ends the program before any model is loaded.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] with the argument that has the fault.
    pub(super) fn bind(
        args: &RunArgs,
        startup: &Startup<'_>,
        records: &RunRecords,
    ) -> Result<Self, CommandError> {
        args.life.check(&startup.opened)?;
        let socket = BoundControl::bind(args, startup, records)?;
        let service = ServiceManager::of_environment();
        let log = args.life.detached.then(|| DetachedLog::new(records.folder(), socket.name()));
        Ok(Self { socket, service, fits: args.fit, watches: args.life.watch, log })
    }

    /// Returns the name of the run.
    pub(super) fn name(&self) -> &str {
        self.socket.name()
    }

    /// Starts to reload on request, to report to the service manager and to answer on the socket.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(super) fn start(
        self,
        startup: &Startup<'_>,
        records: &RunRecords,
        run: ControlledRun<'_>,
    ) -> Result<RunningControl, CommandError> {
        let Self { socket, service, fits, watches, log } = self;
        let ControlledRun { scheduler, signals, recordings, token } = run;
        let sources = ReloadSources {
            control: scheduler.clone(),
            machine: startup.description.clone(),
            fits,
            limits: records.limits(),
            origin: records.origin(),
            conditions: records.conditions(),
            tokens: RunTokens { clients: token, control: socket.token() },
            service: service.clone(),
        };
        let opened = (&startup.opened, startup.base.as_ref());
        let reloader = Arc::new(Reloader::new(opened, sources));
        let triggers = ReloadTriggers {
            signals: signals.reloads(),
            origin: records.origin().subscribe(),
            snapshots: scheduler.snapshots(),
            watches,
        };
        follow(reloader.clone(), triggers)?;
        if startup.is_resumed && reloader.has_new_text() {
            // the file has changed since the run before; the result is logged
            let _ = reloader.reload();
        }
        service.follow(scheduler.snapshots())?;
        if let Some(log) = log {
            log.follow(scheduler.snapshots())?;
        }
        let socket = socket.start(scheduler, reloader, recordings, Arc::new(records.log()));
        Ok(RunningControl { _socket: socket, service })
    }
}

impl RunningControl {
    /// Reports to the service manager that the run drains and ends.
    pub(super) fn stopping(&self) {
        self.service.stopping();
    }
}
