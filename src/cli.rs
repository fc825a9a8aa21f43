//! The command line: one definition for parsing, `--help`, completions and the man page.

use clap::{Parser, Subcommand};

use crate::command::{CommandError, inspect, runtime, synth};

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
    /// Says what a model takes, gives and needs, and which engines load it.
    Inspect(inspect::InspectArgs),
    /// Finds or fetches ONNX Runtime.
    Runtime(runtime::RuntimeArgs),
    /// Writes a stand-in model of a given size.
    Synth(synth::SynthArgs),
}

impl Cli {
    /// Runs what was asked for.
    ///
    /// # Errors
    /// [`CommandError`] with a message for the user.
    pub fn run(self) -> Result<(), CommandError> {
        match self.command {
            None => Ok(()),
            Some(Command::Inspect(args)) => inspect::run(&args),
            Some(Command::Runtime(args)) => runtime::run(&args),
            Some(Command::Synth(args)) => synth::run(&args),
        }
    }
}
