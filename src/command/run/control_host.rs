//! The control socket of a run: bound before the models load, answered once the scheduler runs.

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Signal, getpid, kill_process};

use super::args::RunArgs;
use super::control_args::ControlArgs;
use super::layout_folders::LayoutFolders;
use super::reload::Reloader;
use super::run_records::RunRecords;
use super::run_tokens::{TokenFile, check_apart, read_token};
use super::startup::Startup;
use crate::command::CommandError;
use crate::control::{
    Access, ControlHost, ControlListener, ControlServer, ControlSocket, NameChoice, RemotePaths,
    RunIdentity, RunName, SocketError, TcpAccess,
};
use crate::layout::Layout;
use crate::machine::{Description, SharedToken};
use crate::scheduler::{LayoutStore, RequestRecordings, RunLog, Scheduler};
use crate::server::ListenAddress;
use crate::telemetry::Conditions;

/// The name of the standing problem when there is no socket.
const CONDITION: &str = "control";

/// The control socket of a run before its scheduler starts.
pub(super) struct BoundControl {
    listeners: Vec<ControlListener>,
    token: Option<TokenFile>,
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
        records: &RunRecords,
    ) -> Result<Self, CommandError> {
        let conditions = records.conditions();
        let title = &startup.opened.title;
        let socket = bind_socket(args, title, &conditions)?;
        let name = socket.as_ref().map(|socket| socket.name().clone());
        let name = name.unwrap_or_else(|| RunName::from_title(title));
        let (token, mut listeners) = match read_control_token(args)? {
            None => (None, Vec::new()),
            Some(token) => {
                let listeners = bind_tcp(&args.control, &startup.layout, &token.token)?;
                (Some(token), listeners)
            }
        };
        listeners.extend(bind_for_readers(&args.control, &name)?);
        listeners.extend(socket.map(|socket| ControlListener::Socket(socket, Access::SameUser)));
        let path = startup.opened.path.clone().map(|path| (title.clone(), path));
        let folders = LayoutFolders::new(args.layout_dir.clone()).ok();
        let layouts = folders
            .map(|folders| folders.with_files(path, None).with_origin(records.origin()))
            .map(|folders| -> Arc<dyn LayoutStore> {
                Arc::new(folders.with_limits(records.limits()))
            });
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let identity = RunIdentity {
            name: name.to_string(),
            layout: title.clone(),
            read_only: args.readonly,
            started_unix_ms: started.as_millis() as u64,
        };
        let machine = startup.description.clone();
        Ok(Self { listeners, token, conditions, identity, machine, layouts })
    }

    /// Returns the name of the run.
    pub(super) fn name(&self) -> &str {
        &self.identity.name
    }

    /// Returns the token of clients over TCP.
    pub(super) fn token(&self) -> Option<TokenFile> {
        self.token.clone()
    }

    /// Starts to answer; `None` without a socket.
    pub(super) fn start(
        self,
        scheduler: &Arc<Scheduler>,
        reloader: Arc<Reloader>,
        recordings: Arc<dyn RequestRecordings>,
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
            recordings: Some(recordings),
            log,
            machine: self.machine,
            run: self.identity,
            reload: Box::new(move || reloader.reload()),
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
    args: &RunArgs,
    title: &str,
    conditions: &Conditions,
) -> Result<Option<ControlSocket>, CommandError> {
    let RunArgs { control: args, life, .. } = args;
    if args.no_control {
        return Ok(None);
    }
    let choice = match &args.name {
        Some(name) => NameChoice::Exactly(name.clone()),
        None => NameChoice::Numbered(RunName::from_title(title)),
    };
    let is_asked_for = args.name.is_some() || args.control_dir.is_some() || life.detached;
    match ControlSocket::bind(args.control_dir.as_deref(), &choice) {
        Ok(socket) => Ok(Some(socket)),
        Err(error @ SocketError::Taken(_)) => Err(CommandError::BadInput(error.to_string())),
        Err(error) if is_asked_for => Err(CommandError::BadInput(format!(
            "the control socket: {error}; name another folder with --control-dir"
        ))),
        Err(error) => {
            let remedy = "name another folder with --control-dir, or start with --no-control";
            conditions.raise(CONDITION, format!("no control socket: {error}; {remedy}"));
            Ok(None)
        }
    }
}

/// Binds the socket of `--readers`.
fn bind_for_readers(
    args: &ControlArgs,
    name: &RunName,
) -> Result<Option<ControlListener>, CommandError> {
    let Some(group) = &args.readers else { return Ok(None) };
    let socket = ControlSocket::bind_for_readers(args.readers_dir.as_deref(), name, group);
    let socket = socket.map_err(|error| {
        let remedy = "name a group of this user, or another folder with --readers-dir";
        CommandError::BadInput(format!("--readers {group}: {error}; {remedy}"))
    })?;
    Ok(Some(ControlListener::Socket(socket, Access::Readers)))
}

/// Reads the token of clients over TCP.
fn read_control_token(args: &RunArgs) -> Result<Option<TokenFile>, CommandError> {
    let Some(path) = args.control.control_token_file.clone() else { return Ok(None) };
    let option = "--control-token-file";
    let token = read_token(option, &path).map_err(CommandError::BadInput)?;
    if let Some(other) = &args.serve.token_file {
        let clients = read_token("--token-file", other).map_err(CommandError::BadInput)?;
        check_apart(&clients, &token, &path).map_err(CommandError::BadInput)?;
    }
    Ok(Some(TokenFile { option, path, token: SharedToken::new(token) }))
}

/// Binds the addresses of `--control`.
fn bind_tcp(
    args: &ControlArgs,
    layout: &Layout,
    token: &SharedToken,
) -> Result<Vec<ControlListener>, CommandError> {
    let paths = if args.allow_remote_paths { RemotePaths::Any } else { RemotePaths::of(layout) };
    let access = TcpAccess { token: token.clone(), paths };
    let bind = |address: &ListenAddress| {
        let fault =
            |error: std::io::Error| CommandError::BadInput(format!("--control {address}: {error}"));
        let listener = TcpListener::bind(address.0).map_err(fault)?;
        let bound = listener.local_addr().map_err(fault)?;
        // A closed stderr must not stop the run.
        let _ = writeln!(std::io::stderr(), "divvy: control on http://{bound}");
        Ok(ControlListener::Tcp(listener, access.clone()))
    };
    args.control.iter().map(bind).collect()
}

/// Sends this process the signal that ends it in order.
fn terminate() {
    if let Err(error) = kill_process(getpid(), Signal::TERM) {
        tracing::error!("cannot stop this run: {error}");
    }
}
