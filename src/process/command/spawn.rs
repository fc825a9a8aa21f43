//! Starts the process of a command, on a thread that waits for its end.

use std::io;
use std::process::{Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use super::spawn_error;
use super::supervisor::Event;
use crate::layout::ProcessCommand;
use crate::machine::{CpuSet, child_processes};

/// The variable in the environment of all processes of a command that names it.
pub(super) const MARK: &str = "DIVVY_COMMAND";

/// The settings with which a process is started.
pub(super) struct SpawnRequest {
    /// The command.
    pub command: ProcessCommand,
    /// The CPUs on which it may run from its first instruction.
    pub cores: CpuSet,
    /// The value of [`MARK`].
    pub mark: String,
    /// Its standard output and standard error.
    pub output: [Stdio; 2],
}

/// Starts a process on a thread, which sends [`Event::Started`] and later [`Event::Exited`], or
/// [`Event::NotStarted`]. The thread ends with the process: see [`child_processes::start_process`].
///
/// # Errors
/// The system's error if it cannot start a thread.
pub(super) fn spawn(row: &str, request: SpawnRequest, events: Sender<Event>) -> io::Result<()> {
    // A name with a slash: the thread is on the cores of the command, not on divvy's.
    let name = format!("run/{row}").replace('\0', "");
    thread::Builder::new().name(name).spawn(move || run(request, &events))?;
    Ok(())
}

fn run(request: SpawnRequest, events: &Sender<Event>) {
    // The supervisor lives until it has the answer, or does not need it.
    let refuse = |reason: String| drop(events.send(Event::NotStarted(reason)));
    let SpawnRequest { command, cores, mark, output: [stdout, stderr] } = request;
    let Some((program, args)) = command.args.split_first() else {
        let error = io::Error::from(io::ErrorKind::InvalidInput);
        return refuse(spawn_error::describe(&command, &error));
    };
    let mut process = Command::new(program);
    process.args(args).envs(&command.env).env(MARK, mark);
    process.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    if let Some(dir) = &command.dir {
        process.current_dir(dir);
    }
    let started = child_processes::start_process(&mut process, &cores);
    // It holds ends of the pipe for the output.
    drop(process);
    let mut child = match started {
        Ok((child, id)) if events.send(Event::Started(id)).is_ok() => child,
        Ok((mut child, _)) => {
            // Nobody supervises it.
            let _ = child.kill();
            child
        }
        Err(error) => return refuse(spawn_error::describe(&command, &error)),
    };
    let (ended, is_success) = match child.wait() {
        Ok(status) => (child_processes::exit_description(status), status.success()),
        // SIGCHLD is ignored, so the kernel keeps no exit code.
        Err(_) => ("an unknown exit code".to_owned(), false),
    };
    let _ = events.send(Event::Exited { ended, is_success });
}
