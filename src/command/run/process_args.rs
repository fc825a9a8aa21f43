//! Arguments about processes.

use crate::layout::{ProcessCommand, ProcessSelector, ProcessSource};

/// Arguments about processes.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Processes")]
pub struct ProcessArgs {
    /// Add the process with this number, and what it starts, as a row. Repeatable.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Vec<i32>,
    /// Add the processes of this program (the file name or absolute path of its executable, or the name under
    /// which it was started), and what they start, as a row, which waits if there are none. Repeatable.
    #[arg(long = "match", value_name = "PROGRAM")]
    pub matching: Vec<String>,
    /// At the end, leave processes as they are: their cores and weights stay, and commands that divvy started go
    /// on. Otherwise divvy restores what it found, and ends what it started.
    #[arg(long)]
    pub keep: bool,
    /// Start this command as a row. It follows all other arguments, after `--`: divvy -- python server.py.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

impl ProcessArgs {
    /// Returns true if they name a row.
    pub(super) fn has_rows(&self) -> bool {
        !(self.pid.is_empty() && self.matching.is_empty() && self.command.is_empty())
    }

    /// Returns the sources of the rows that they name. A command runs in the current folder, also when the row is
    /// saved and opened from another one.
    pub(super) fn sources(&self) -> Vec<ProcessSource> {
        let pids = self.pid.iter().map(|pid| ProcessSelector::Pid(*pid));
        let names = self.matching.iter().map(|exe| ProcessSelector::Exe(exe.clone()));
        let command = (!self.command.is_empty()).then(|| {
            let (args, dir) = (self.command.clone(), std::env::current_dir().ok());
            ProcessSelector::Command(ProcessCommand { args, dir, ..ProcessCommand::default() })
        });
        pids.chain(names).chain(command).map(ProcessSource::new).collect()
    }
}
