//! The server of a run: bound before the models load, started with the scheduler, drained at the end.

use std::io::Write;
use std::sync::Arc;

use super::args::DisplayMode;
use super::run_limits::RunLimits;
use super::run_tokens::TokenFile;
use super::serve_args::ServeArgs;
use super::signals::StopSignals;
use crate::command::CommandError;
use crate::layout::{SHADOWED, SHADOWED_NAME};
use crate::scheduler::Scheduler;
use crate::server::{Access, Server, ServerMonitor, ServerOptions, ServerSockets, ServerState};
use crate::telemetry::{Protocol, ServerSource};

/// The server of a run before its scheduler starts.
pub(super) struct BoundServer {
    args: ServeArgs,
    access: Access,
    sockets: ServerSockets,
    monitor: Arc<ServerMonitor>,
}

/// The server of a run.
pub(super) struct RunningServer {
    server: Server,
    args: ServeArgs,
}

impl BoundServer {
    /// Binds the addresses of the arguments and reads the token, so that a fault ends the program before any
    /// model is loaded; `None` without an address.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] with the option that has the fault.
    pub(super) fn bind(args: &ServeArgs) -> Result<Option<Self>, CommandError> {
        if !args.is_serving() {
            return Ok(None);
        }
        let (access, sockets) = (args.access()?, args.bind()?);
        Ok(Some(Self { args: args.clone(), access, sockets, monitor: Arc::default() }))
    }

    /// Returns the source of the server's metrics.
    pub(super) fn source(&self) -> Arc<dyn ServerSource> {
        self.monitor.clone()
    }

    /// Returns the token of clients and its file, if they need one.
    pub(super) fn token(&self) -> Option<TokenFile> {
        let (path, token) = (self.args.token_file.clone()?, self.access.token()?);
        Some(TokenFile { option: "--token-file", path, token })
    }

    /// Starts to serve the models of a scheduler, and says where.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] if an address cannot be listened on, or the layout's limits contradict the
    /// flags.
    pub(super) fn start(
        self,
        scheduler: &Scheduler,
        limits: &RunLimits,
        mode: DisplayMode,
    ) -> Result<RunningServer, CommandError> {
        let Self { args, access, sockets, monitor } = self;
        let options = ServerOptions { limits: limits.for_server(&args)?, access, monitor };
        let state = ServerState::new(scheduler, options);
        limits.follow(state.clone(), &args);
        let threads = args.server_threads.map(usize::from);
        // without a console the check of the layout has said so on standard error
        if mode == DisplayMode::Console && scheduler.models().get(SHADOWED_NAME).is_some() {
            tracing::warn!("model `{SHADOWED_NAME}`: {SHADOWED}");
        }
        let server = Server::start(state, sockets, threads)
            .map_err(|error| CommandError::BadInput(error.to_string()))?;
        for listener in server.listeners() {
            let scheme = match listener.protocol {
                Protocol::Http => "http",
                Protocol::Grpc => "grpc",
            };
            let text = format!("listening on {scheme}://{}", listener.address);
            tracing::info!("{text}");
            if mode == DisplayMode::Headless {
                // A closed stderr must not stop the server.
                let _ = writeln!(std::io::stderr(), "divvy: {text}");
            }
        }
        Ok(RunningServer { server, args })
    }
}

impl RunningServer {
    /// Refuses new requests and answers those that are admitted, for at most `--drain` or until the next
    /// signal, and then closes the listeners. Returns the number of requests that were left unanswered.
    pub(super) fn drain(self, signals: &StopSignals) -> usize {
        let cut = signals.next();
        self.server.start_drain();
        let admitted = self.server.state().drain.admitted();
        if admitted > 0 {
            let requests = if admitted == 1 { "request" } else { "requests" };
            let _ = writeln!(
                std::io::stderr(),
                "divvy: finishing {admitted} {requests} of clients; a signal (Ctrl-C) ends this at once"
            );
        }
        let unanswered = self.server.stop(self.args.drain, cut).unanswered;
        if unanswered > 0 {
            tracing::info!("{}", CommandError::Unanswered(unanswered));
        }
        unanswered
    }
}
