//! `divvy attach`: the console of a running divvy.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::select::{FolderArgs, RunSelection};
use crate::command::CommandError;
use crate::command::run::{
    ConsoleArgs, HangUp, RunArgs, StopSignals, console_options, no_console, start_for_console,
};
use crate::console::panic_log::limit_repeated_panics;
use crate::console::{self, AttachedRun, ConsoleOptions, Exit};
use crate::control::api::CONSOLE_CLIENT;
use crate::control::{Address, RemoteControl};
use crate::layout::Layout;
use crate::scheduler::{CurrentLayout, LayoutStore, SavedLayout};

/// Arguments of `divvy attach`.
#[derive(Clone, Debug, clap::Args)]
pub struct AttachArgs {
    /// The running divvy: its name, its process, its socket, or its address of --control. Needed if several run.
    #[arg(value_name = "NAME|PID|SOCKET|ADDRESS")]
    pub run: Option<String>,
    /// The name of this console in the journal, behind the user's. Consoles of one user and name are one
    /// caller: each undoes the changes of the others.
    #[arg(long = "as", value_name = "NAME", default_value = CONSOLE_CLIENT, value_parser = parse_client)]
    pub client: String,
    /// Show everything, change nothing.
    #[arg(long)]
    pub readonly: bool,
    /// The console.
    #[command(flatten)]
    pub console: ConsoleArgs,
    /// The file of its token, for an address.
    #[arg(long, value_name = "FILE", requires = "run")]
    pub control_token_file: Option<PathBuf>,
    /// The folders to search for running divvys.
    #[command(flatten)]
    pub folders: FolderArgs,
}

/// Opens the console until the user detaches, a signal arrives, or the terminal is gone. The run goes on.
///
/// # Errors
/// [`CommandError::BadInput`] if it is not clear which run is meant, or there is no terminal;
/// [`CommandError::Failed`] if the run does not answer, or the terminal cannot be used.
pub fn attach(args: &AttachArgs) -> Result<(), CommandError> {
    let selection = RunSelection {
        run: args.run.clone(),
        control_token_file: args.control_token_file.clone(),
        folders: args.folders.clone(),
    };
    let address = selection.address("divvy attach")?;
    if let Some(reason) = no_console() {
        return Err(CommandError::BadInput(format!(
            "{reason}, so no console can open; `divvy top` shows the models in plain text"
        )));
    }
    limit_repeated_panics();
    let options = console_options(&args.console, args.readonly)?;
    let remote = Arc::new(RemoteControl::connect(&address, &args.client)?);
    open(&remote, options, AtQuit::Detach)
}

/// The effect of the key that quits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtQuit {
    /// Detach: the run goes on.
    Detach,
    /// Ask whether the run goes on: the user has started it with this console.
    Ask,
}

/// Starts a run that serves clients in the background, and opens its console here. Leaving the console asks
/// whether the run goes on.
///
/// # Errors
/// [`CommandError::BadInput`] if the run does not start; [`CommandError::Failed`] if it does not answer, or the
/// terminal cannot be used.
pub fn serve(args: &RunArgs) -> Result<(), CommandError> {
    limit_repeated_panics();
    // a fault in the config file ends this before anything is started
    let options = console_options(&args.console, args.readonly)?;
    let address = Address::Socket(start_for_console(args)?);
    let remote = Arc::new(RemoteControl::connect(&address, CONSOLE_CLIENT)?);
    open(&remote, options, AtQuit::Ask)
}

fn open(
    remote: &Arc<RemoteControl>,
    options: ConsoleOptions,
    at_quit: AtQuit,
) -> Result<(), CommandError> {
    let signals = StopSignals::watch(HangUp::at_start(false))?;
    let options = ConsoleOptions { stop: Some(signals.any()), ..attached(remote, options) };
    let is_stopped = Arc::new(AtomicBool::new(false));
    let attached = options.attached.map(|run| stoppable(run, at_quit, &is_stopped));
    let options = ConsoleOptions { attached, ..options };
    let result = console::run(remote.clone(), options);
    let end = result.map_err(|error| CommandError::Failed(error.to_string()))?;
    // the terminal is gone
    if end.exit == Exit::Lost {
        return Ok(());
    }
    let name = &remote.info().name;
    let is_running = remote.connection().borrow().pid().is_some();
    let text = if is_stopped.load(Ordering::Acquire) {
        format!("{name} finishes its requests, and then ends")
    } else if is_running {
        format!("Detached; the run goes on: divvy attach {name}")
    } else {
        format!("Detached; {name} is not reachable")
    };
    // a terminal that has closed meanwhile is no failure
    let _ = writeln!(std::io::stdout(), "{text}");
    Ok(())
}

/// Returns the run with what leaving it means. Its end is recorded in `is_stopped`.
fn stoppable(run: AttachedRun, at_quit: AtQuit, is_stopped: &Arc<AtomicBool>) -> AttachedRun {
    let (stop, is_stopped) = (run.stop, is_stopped.clone());
    AttachedRun {
        asks_at_quit: at_quit == AtQuit::Ask,
        stop: Arc::new(move || stop().map(|()| is_stopped.store(true, Ordering::Release))),
        ..run
    }
}

/// Returns the options of a console that is attached to a run.
fn attached(remote: &Arc<RemoteControl>, options: ConsoleOptions) -> ConsoleOptions {
    let CurrentLayout { name, revision } = remote.current().unwrap_or_default();
    let saved = name.as_deref().and_then(|name| remote.read(name).ok());
    let baseline = saved.as_ref().map_or_else(Layout::default, |saved| saved.layout.clone());
    // its file may have changed since the run has read it; the first save then asks
    let is_same = |saved: &SavedLayout| Some(&saved.revision) == revision.as_ref();
    let run = remote.clone();
    ConsoleOptions {
        opened: saved.filter(is_same),
        profile: name,
        baseline: Some(baseline),
        profiles: Some(remote.clone()),
        log: remote.clone(),
        recordings: Some(remote.clone()),
        readonly: options.readonly || remote.info().read_only,
        attached: Some(AttachedRun {
            name: remote.info().name.clone(),
            connection: remote.connection(),
            asks_at_quit: false,
            stop: Arc::new(move || run.stop().map_err(|error| error.to_string())),
        }),
        ..options
    }
}

/// Parses the name of a client.
fn parse_client(text: &str) -> Result<String, String> {
    let is_allowed =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if (1..=32).contains(&text.len()) && text.chars().all(is_allowed) {
        return Ok(text.to_owned());
    }
    Err("use 1 to 32 letters, digits, - _ and .".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_name_has_no_slash() {
        assert_eq!(parse_client("night-2"), Ok("night-2".to_owned()));
        for text in ["", "a/b", "a b", "\u{e9}", &"x".repeat(33)] {
            assert!(parse_client(text).is_err(), "{text}");
        }
    }
}
