//! The command line: one definition for parsing, `--help`, completions and the man page.

use clap::{Parser, Subcommand};

use crate::command::{
    CommandError, bench, check, completions, config, inspect, journal, machine, man, run, runtime,
    snapshot, synth,
};

/// Divides cores and concurrency between ONNX models that run in one process, live.
#[derive(Debug, Parser)]
#[command(
    name = "divvy",
    version,
    about,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    /// What to do; without one, the console opens.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What to run, and how.
    #[command(flatten)]
    pub run: run::RunArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Validates layout files; exit code 0 or 2.
    Check(check::CheckArgs),
    /// Shows the machine: cores, caches, limits, GPUs.
    Machine(machine::MachineArgs),
    /// Says what a model takes, gives and needs, and which engines load it.
    Inspect(inspect::InspectArgs),
    /// Writes a stand-in model of a given size.
    Synth(synth::SynthArgs),
    /// Measures what divvy promises, side by side with what it is compared to.
    Bench(bench::BenchArgs),
    /// Finds or fetches ONNX Runtime.
    Runtime(runtime::RuntimeArgs),
    /// Draws the console's frame after a recorded run, as a picture.
    Snapshot(snapshot::SnapshotArgs),
    /// Prints what was changed, when, and what it did to the latencies.
    Journal(journal::JournalArgs),
    /// Prints the console's default config file, or where it is looked for.
    Config(config::ConfigArgs),
    /// Prints a shell's completion script.
    Completions(completions::CompletionsArgs),
    /// Prints the manual page, or writes all pages into a folder.
    Man(man::ManArgs),
}

impl Cli {
    /// Runs what was asked for.
    ///
    /// # Errors
    /// [`CommandError`] with a message for the user.
    pub fn run(self) -> Result<(), CommandError> {
        match self.command {
            None => run::run(&self.run),
            Some(Command::Check(args)) => check::run(&args),
            Some(Command::Machine(args)) => machine::run(&args),
            Some(Command::Inspect(args)) => inspect::run(&args),
            Some(Command::Synth(args)) => synth::run(&args),
            Some(Command::Bench(args)) => bench::run(&args),
            Some(Command::Runtime(args)) => runtime::run(&args),
            Some(Command::Snapshot(args)) => snapshot::run(&args),
            Some(Command::Journal(args)) => journal::run(&args),
            Some(Command::Config(args)) => config::run(&args),
            Some(Command::Completions(args)) => completions::run(&args),
            Some(Command::Man(args)) => man::run(&args),
        }
    }
}
