//! The control socket of a run: bound before the models load, answered once the scheduler runs.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Signal, getpid, kill_process};

use super::args::RunArgs;
use super::control_args::ControlArgs;
use super::layout_folders::LayoutFolders;
use super::startup::Startup;
use crate::command::CommandError;
use crate::control::{
    Access, ControlHost, ControlListener, ControlServer, ControlSocket, NameChoice, RunIdentity,
    RunName,
};
use crate::machine::Description;
use crate::scheduler::{LayoutStore, RunLog, Scheduler};
use crate::telemetry::Conditions;

/// The name of the standing problem when there is no socket.
const CONDITION: &str = "control";

/// The control socket of a run before its scheduler starts.
pub(super) struct BoundControl {
    listeners: Vec<ControlListener>,
    conditions: Conditions,
    identity: RunIdentity,
    machine: Description,
    layouts: Option<Arc<dyn LayoutStore>>,
}

impl BoundControl {
    /// Binds the socket. Without a folder for it the run goes on, with an alert, unless an argument names the
    /// socket or its folder.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] with the argument that has the fault.
    pub(super) fn bind(
        args: &RunArgs,
        startup: &Startup<'_>,
        conditions: Conditions,
    ) -> Result<Self, CommandError> {
        let title = &startup.opened.title;
        let socket = bind_socket(&args.control, title, &conditions)?;
        let name = socket.as_ref().map(|socket| socket.name().to_string());
        let path = startup.opened.path.clone().map(|path| (title.clone(), path));
        let folders = LayoutFolders::new(args.layout_dir.clone()).ok();
        let layouts = folders
            .map(|folders| -> Arc<dyn LayoutStore> { Arc::new(folders.with_files(path, None)) });
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let identity = RunIdentity {
            name: name.unwrap_or_else(|| title.clone()),
            layout: title.clone(),
            read_only: args.readonly,
            started_unix_ms: started.as_millis() as u64,
        };
        let listeners = socket
            .map(|socket| ControlListener::new(socket, Access::SameUser))
            .into_iter()
            .collect();
        let machine = startup.description.clone();
        Ok(Self { listeners, conditions, identity, machine, layouts })
    }

    /// Starts to answer; `None` without a socket.
    pub(super) fn start(
        self,
        scheduler: &Arc<Scheduler>,
        log: Arc<dyn RunLog>,
    ) -> Option<ControlServer> {
        if self.listeners.is_empty() {
            return None;
        }
        let name = self.identity.name.clone();
        let host = ControlHost {
            control: scheduler.clone(),
            inspection: scheduler.clone(),
            layouts: self.layouts,
            log,
            machine: self.machine,
            run: self.identity,
            stop: Box::new(terminate),
        };
        match ControlServer::start(host, self.listeners) {
            Ok(server) => {
                tracing::info!("this run is named {name}: `divvy ls` lists it");
                Some(server)
            }
            Err(error) => {
                let text = format!("other programs cannot control this run: {error}");
                self.conditions.raise(CONDITION, text);
                None
            }
        }
    }
}

fn bind_socket(
    args: &ControlArgs,
    title: &str,
    conditions: &Conditions,
) -> Result<Option<ControlSocket>, CommandError> {
    if args.no_control {
        return Ok(None);
    }
    let choice = match &args.name {
        Some(name) => NameChoice::Exactly(name.clone()),
        None => NameChoice::Numbered(RunName::from_title(title)),
    };
    let is_asked_for = args.name.is_some() || args.control_dir.is_some();
    match ControlSocket::bind(args.control_dir.as_deref(), &choice) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if is_asked_for => Err(CommandError::BadInput(error.to_string())),
        Err(error) => {
            conditions.raise(CONDITION, format!("{error}, or start with --no-control"));
            Ok(None)
        }
    }
}

/// Sends this process the signal that ends it in order.
fn terminate() {
    if let Err(error) = kill_process(getpid(), Signal::TERM) {
        tracing::error!("cannot stop this run: {error}");
    }
}
