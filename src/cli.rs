//! The command line: one definition for parsing, `--help`, completions and the man page.

use clap::{Parser, Subcommand};

use crate::command::{CommandError, completions, man};

/// Divides cores and concurrency between ONNX models that run in one process, live.
#[derive(Debug, Parser)]
#[command(name = "divvy", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do; without one, the console opens.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a shell's completion script.
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write all pages into a folder.
    Man(man::ManArgs),
}

impl Cli {
    /// Runs what was asked for.
    ///
    /// # Errors
    /// [`CommandError`] with a message for the user.
    pub fn run(self) -> Result<(), CommandError> {
        match self.command {
            None => Ok(()),
            Some(Command::Completions(args)) => completions::run(&args),
            Some(Command::Man(args)) => man::run(&args),
        }
    }
}
