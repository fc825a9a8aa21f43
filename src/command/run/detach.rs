//! `--detach`: starts this run again in a session of its own, and follows it until its models are ready.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::args::{DisplayMode, RunArgs};
use super::detached_log::path_of;
use super::last_session::LastSession;
use super::signals::{HangUp, StopSignals};
use crate::command::report::{failed_models, is_loaded};
use crate::command::{CommandError, state_folder};
use crate::control::{Address, ControlClient, SearchFolders, SnapshotParts, find_run};
use crate::machine::in_new_session;
use crate::telemetry::Snapshot;

/// Time between two checks of the run.
const POLL: Duration = Duration::from_millis(100);

/// The longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The name of this client; it makes no changes.
const CLIENT: &str = "detach";

/// Starts the run and returns when every model is ready.
///
/// # Errors
/// [`CommandError::BadInput`] for options that a run without a terminal cannot have, and if the run ends with
/// that exit code before its models are ready; [`CommandError::Failed`] if models fail: the run goes on then.
pub fn start(args: &RunArgs) -> Result<(), CommandError> {
    check(args)?;
    let mut run = StartedRun::launch(args, arguments(std::env::args_os().skip(1)))?;
    let failed = run.require_models(args)?;
    run.print_start(args)?;
    failed.map_or(Ok(()), |failed| Err(CommandError::Failed(format!("{failed}; the run goes on"))))
}

/// Returns true if a run serves clients from a terminal: then it runs in the background, and its console attaches
/// to it, so that the end of the console never touches models that serve.
pub fn serves_from_terminal(args: &RunArgs) -> bool {
    DisplayMode::of(args) == DisplayMode::Console
        && args.serve.is_serving()
        && !args.control.no_control
        && !args.life.detach
}

/// Starts a run that serves clients from a terminal, and returns its socket for the console.
///
/// # Errors
/// As [`start`], except for models that fail: the console shows them.
pub(in crate::command) fn start_for_console(args: &RunArgs) -> Result<PathBuf, CommandError> {
    args.check(DisplayMode::Console)?;
    let mut arguments: Vec<OsString> = vec!["--detached".into()];
    if args.inputs.is_empty() && !args.demo && !args.last && !args.processes.has_rows() {
        arguments.extend(last_layout(args)?);
    }
    arguments.extend(std::env::args_os().skip(1));
    let mut run = StartedRun::launch(args, arguments)?;
    run.require_models(args)?;
    Ok(run.socket)
}

/// Returns the file of the layout of the last console session, which the console opens without arguments.
fn last_layout(args: &RunArgs) -> Result<Option<OsString>, CommandError> {
    let (session, _) = LastSession::read(&args.state.folder()?);
    Ok(session.place.filter(|path| path.is_file()).map(PathBuf::into_os_string))
}

/// A run in the background whose models have been loaded, or have failed.
struct StartedRun {
    process: DetachedRun,
    name: String,
    socket: PathBuf,
    snapshot: Snapshot,
}

impl StartedRun {
    /// Starts this program with these arguments, and waits until no model is loading any more.
    ///
    /// # Errors
    /// If the run ends before that, with its exit code, and after a signal.
    fn launch(args: &RunArgs, arguments: Vec<OsString>) -> Result<Self, CommandError> {
        let folder = args.state.folder()?;
        state_folder::create(&folder).map_err(CommandError::Failed)?;
        let signals = StopSignals::watch(HangUp::at_start(false))?;
        let mut process = DetachedRun::spawn(&folder, arguments)?;
        let found = loop {
            process.check(&signals)?;
            if let Some(found) = find_run(&folders(args), process.child.id()) {
                break found;
            }
            sleep(POLL);
        };
        let (name, socket) = (found.name, found.socket);
        let client =
            ControlClient::new(Address::Socket(socket.clone()), CLIENT)?.with_timeout(PATIENCE);
        let snapshot = loop {
            process.check(&signals)?;
            // it may be busy with its models
            match client.snapshot(SnapshotParts::default()) {
                Ok(snapshot) if is_loaded(&snapshot) => break snapshot,
                _ => sleep(POLL),
            }
        };
        process.name_log(&folder, &name);
        Ok(Self { process, name, socket, snapshot })
    }

    /// Returns the message about models that have failed.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] with `--strict`; the run is stopped then.
    fn require_models(&mut self, args: &RunArgs) -> Result<Option<String>, CommandError> {
        let failed = failed_models(&self.snapshot);
        match failed {
            Some(failed) if args.strict => {
                self.process.stop()?;
                Err(CommandError::BadInput(format!("{failed}; the run has been stopped")))
            }
            failed => Ok(failed),
        }
    }

    /// Prints that the run is ready, and how to reach it.
    fn print_start(&self, args: &RunArgs) -> Result<(), std::io::Error> {
        let Self { process, name, snapshot, .. } = self;
        let folder = args.control.control_dir.as_ref();
        let folder =
            folder.map_or_else(String::new, |it| format!(" --control-dir {}", it.display()));
        let count = snapshot.models.len();
        let models = if count == 1 { "model" } else { "models" };
        let (pid, log) = (process.child.id(), process.log.display());
        writeln!(
            std::io::stdout(),
            "{name} runs in the background: {count} {models}, process {pid}\n\
             attach: divvy attach {name}{folder}\n\
             stop:   divvy stop --run {name}{folder}\n\
             log:    {log}"
        )
    }
}

/// Checks options that make no sense for a run in the background.
fn check(args: &RunArgs) -> Result<(), CommandError> {
    let has_stdin = args.inputs.iter().any(|input| input == Path::new("-"));
    let given = [
        (args.json, "--json", "it writes no reports; use `divvy top` when it runs"),
        (
            args.duration.is_some(),
            "--for",
            "nobody would see its summary; use `divvy stop` to end it",
        ),
        (has_stdin, "-", "it outlives its standard input; pass a layout file"),
    ];
    match given.iter().find(|(is_given, ..)| *is_given) {
        None => args.serve.check(),
        Some((_, option, reason)) => Err(CommandError::BadInput(format!(
            "{option} does not work with --detach: a run in the background has no terminal, so {reason}"
        ))),
    }
}

/// The run in the background, as its parent sees it.
struct DetachedRun {
    child: Child,
    log: PathBuf,
    reader: File,
}

impl DetachedRun {
    /// Starts this program again in a session of its own. Its standard error goes to a file in the state
    /// folder.
    fn spawn(folder: &Path, arguments: Vec<OsString>) -> Result<Self, CommandError> {
        let log = path_of(folder, std::process::id());
        let failed = |error| CommandError::Failed(format!("{}: {error}", log.display()));
        let file = OpenOptions::new().create(true).append(true).open(&log).map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        let reader = File::open(&log).map_err(failed)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        // a service manager follows this process, not the run
        command.env_remove("NOTIFY_SOCKET");
        in_new_session(&mut command);
        let child = command
            .spawn()
            .map_err(|error| CommandError::Failed(format!("cannot start the run: {error}")))?;
        Ok(Self { child, log, reader })
    }

    /// Passes on what the run has written to its standard error.
    ///
    /// # Errors
    /// If the run has ended, with its exit code; and after a signal, which also stops the run.
    fn check(&mut self, signals: &StopSignals) -> Result<(), CommandError> {
        let status = self.child.try_wait()?;
        self.pass_on()?;
        if let Some(status) = status {
            let _ = fs::remove_file(&self.log);
            return Err(ended(status));
        }
        if *signals.any().borrow() {
            self.stop()?;
            return Err(CommandError::Failed("interrupted: the run has been stopped".to_owned()));
        }
        Ok(())
    }

    fn pass_on(&mut self) -> Result<(), CommandError> {
        let mut text = Vec::new();
        self.reader.read_to_end(&mut text)?;
        // a closed terminal does not end the run
        let _ = std::io::stderr().write_all(&text);
        Ok(())
    }

    /// Ends the run in order, and waits for it.
    fn stop(&mut self) -> Result<(), CommandError> {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            // an error means that it has ended
            let _ = kill_process(pid, Signal::TERM);
        }
        self.child.wait()?;
        self.pass_on()
    }

    /// Gives the file of standard error the name of the run.
    fn name_log(&mut self, folder: &Path, name: &str) {
        let named = path_of(folder, name);
        if fs::rename(&self.log, &named).is_ok() {
            self.log = named;
        }
    }
}

/// Returns the folder in which the socket of the run is.
fn folders(args: &RunArgs) -> SearchFolders {
    SearchFolders { control: args.control.control_dir.clone(), ..SearchFolders::default() }
}

/// Returns the arguments of the run: those of this process, with `--detached` in place of `--detach`.
fn arguments(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut are_options = true;
    let replaced = given.map(|argument| {
        are_options &= argument != OsStr::new("--");
        let is_detach = are_options && argument == OsStr::new("--detach");
        if is_detach { "--detached".into() } else { argument }
    });
    replaced.collect()
}

/// Returns the error for a run that ended before its models were ready. It has printed the reason.
fn ended(status: ExitStatus) -> CommandError {
    let text = format!("the run ended before its models were ready ({status})");
    match status.code() {
        Some(2) => CommandError::BadInput(text),
        _ => CommandError::Failed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_option_is_replaced() {
        let given = ["a.toml", "--detach", "--name", "x", "--", "--detach"];
        let replaced = arguments(given.iter().map(OsString::from));
        assert_eq!(replaced, ["a.toml", "--detached", "--name", "x", "--", "--detach"]);
    }
}
