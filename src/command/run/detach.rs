//! `--detach`: starts this run again in a session of its own, and follows it until its models are ready.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::args::RunArgs;
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
pub(super) fn start(args: &RunArgs) -> Result<(), CommandError> {
    check(args)?;
    let folder = args.state.folder()?;
    state_folder::create(&folder).map_err(CommandError::Failed)?;
    let signals = StopSignals::watch(HangUp::Ends)?;
    let mut run = DetachedRun::spawn(&folder)?;
    let found = loop {
        run.check(&signals)?;
        if let Some(found) = find_run(&folders(args), run.child.id()) {
            break found;
        }
        sleep(POLL);
    };
    let name = found.name;
    let client = ControlClient::new(Address::Socket(found.socket), CLIENT)?.with_timeout(PATIENCE);
    let snapshot = loop {
        run.check(&signals)?;
        // it may be busy with its models
        match client.snapshot(SnapshotParts::default()) {
            Ok(snapshot) if is_loaded(&snapshot) => break snapshot,
            _ => sleep(POLL),
        }
    };
    run.name_log(&folder, &name);
    let Some(failed) = failed_models(&snapshot) else {
        return Ok(run.print_start(args, &name, &snapshot)?);
    };
    if args.strict {
        run.stop()?;
        return Err(CommandError::BadInput(format!("{failed}; the run has been stopped")));
    }
    run.print_start(args, &name, &snapshot)?;
    Err(CommandError::Failed(format!("{failed}; the run goes on")))
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
    fn spawn(folder: &Path) -> Result<Self, CommandError> {
        let log = folder.join(format!("detached-{}.log", std::process::id()));
        let failed = |error| CommandError::Failed(format!("{}: {error}", log.display()));
        let file = OpenOptions::new().create(true).append(true).open(&log).map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        let reader = File::open(&log).map_err(failed)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments(std::env::args_os().skip(1)));
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
        let named = folder.join(format!("detached-{name}.log"));
        if fs::rename(&self.log, &named).is_ok() {
            self.log = named;
        }
    }

    /// Prints that the run is ready, and how to reach it.
    fn print_start(
        &self,
        args: &RunArgs,
        name: &str,
        snapshot: &Snapshot,
    ) -> Result<(), std::io::Error> {
        let folder = args.control.control_dir.as_ref();
        let folder =
            folder.map_or_else(String::new, |it| format!(" --control-dir {}", it.display()));
        let count = snapshot.models.len();
        let models = if count == 1 { "model" } else { "models" };
        let (pid, log) = (self.child.id(), self.log.display());
        writeln!(
            std::io::stdout(),
            "{name} runs in the background: {count} {models}, process {pid}\n\
             attach: divvy attach {name}{folder}\n\
             stop:   divvy stop --run {name}{folder}\n\
             log:    {log}"
        )
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
