//! The command line: one definition for parsing, `--help`, completions and the man pages.

use std::io::Write;

use clap::{CommandFactory, Parser, Subcommand};

#[cfg(unix)]
use crate::command::control;
use crate::command::{
    CommandError, bench, check, completions, config, inspect, journal, machine, man, restore, run,
    runtime, snapshot, synth,
};
use crate::machine::end_process;
use crate::pool::engine_threads;

/// Runs several ONNX models in one process and divides cores and concurrency between them, live.
#[derive(Debug, Parser)]
#[command(
    name = "divvy",
    version,
    about,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    /// The subcommand; without one, the console opens.
    #[command(subcommand)]
    pub command: Option<CliCommand>,
    /// Arguments of the console and of `--headless`.
    #[command(flatten)]
    pub run: run::RunArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Checks layout files: exit code 0 if all are valid, else 2.
    Check(check::CheckArgs),
    /// Shows the machine: cores, caches, limits, GPUs.
    Machine(machine::MachineArgs),
    /// Shows a model's inputs, outputs and operators, and which engines load it.
    Inspect(inspect::InspectArgs),
    /// Generates a synthetic model of a given size.
    Synth(synth::SynthArgs),
    /// Measures divvy's speed, memory and verdicts.
    Bench(bench::BenchArgs),
    /// Shows or installs ONNX Runtime.
    Runtime(runtime::RuntimeArgs),
    /// Draws the console's last frame of a recorded run as SVG.
    Snapshot(snapshot::SnapshotArgs),
    /// Restores the processes that a killed run has left changed, for example after `kill -9`.
    Restore(restore::RestoreArgs),
    /// Lists past changes and how each affected latency.
    Journal(journal::JournalArgs),
    /// Opens the console on a running divvy.
    #[cfg(unix)]
    Attach(control::AttachArgs),
    /// Lists the running divvys.
    #[cfg(unix)]
    Ls(control::ListArgs),
    /// Shows the rows of a running divvy, once per second.
    #[cfg(unix)]
    Top(control::TopArgs),
    /// Prints the live layout of a running divvy as a layout file.
    #[cfg(unix)]
    Layout(control::LiveLayoutArgs),
    /// Shows what a layout would change in a running divvy, and changes nothing.
    #[cfg(unix)]
    Plan(control::PlanArgs),
    /// Applies a layout to a running divvy, and prints the number of the change.
    #[cfg(unix)]
    Apply(control::ApplyArgs),
    /// Sets keys of a row of a running divvy.
    #[cfg(unix)]
    Set(control::SetArgs),
    /// Transfers cores or instances between rows of a running divvy.
    #[cfg(unix)]
    Transfer(control::TransferArgs),
    /// Undoes the newest change that the command line made in a running divvy, or any change by its number.
    #[cfg(unix)]
    Undo(control::UndoArgs),
    /// Redoes the change that the command line undid last.
    #[cfg(unix)]
    Redo(control::RedoArgs),
    /// Waits for the verdict of a change: exit code 0, 3 if a model is clearly worse, 4 if there were too few
    /// requests.
    #[cfg(unix)]
    Wait(control::WaitArgs),
    /// Rereads the files of a running divvy: its layout, replaced models and the tokens.
    #[cfg(unix)]
    Reload(control::ReloadArgs),
    /// Ends a running divvy after its requests.
    #[cfg(unix)]
    Stop(control::StopArgs),
    /// Prints the default config file of the console, or the path of yours.
    Config(config::ConfigArgs),
    /// Prints the completion script of a shell.
    Completions(completions::CompletionsArgs),
    /// Prints the manual page, or writes all pages into a folder.
    Man(man::ManArgs),
}

/// Ends the process with an exit code if an engine still works on a thread that the run has left behind, such
/// as a load that cannot be interrupted. The destructors of its library must not run beside it. Otherwise
/// returns.
pub fn end_beside_engines(code: u8) {
    if engine_threads() > 0 {
        // A reader that has gone away misses the rest, as at any end.
        let _ = std::io::stdout().flush();
        end_process(code);
    }
}

impl Cli {
    /// Runs the subcommand, or the console.
    ///
    /// # Errors
    /// [`CommandError`] with a message for the user.
    pub fn run(self) -> Result<(), CommandError> {
        match self.command {
            #[cfg(unix)]
            None if self.run.life.detach => run::start_detached(&self.run),
            #[cfg(unix)]
            None if run::serves_from_terminal(&self.run) => control::serve(&self.run),
            None => run::run(&self.run),
            Some(CliCommand::Check(args)) => check::run(&args),
            Some(CliCommand::Machine(args)) => machine::run(&args),
            Some(CliCommand::Inspect(args)) => inspect::run(&args),
            Some(CliCommand::Synth(args)) => synth::run(&args),
            Some(CliCommand::Bench(args)) => bench::run(&args),
            Some(CliCommand::Runtime(args)) => runtime::run(&args),
            Some(CliCommand::Snapshot(args)) => snapshot::run(&args),
            Some(CliCommand::Restore(args)) => restore::run(&args),
            Some(CliCommand::Journal(args)) => journal::run(&args),
            #[cfg(unix)]
            Some(CliCommand::Attach(args)) => control::attach(&args),
            #[cfg(unix)]
            Some(CliCommand::Ls(args)) => control::list(&args),
            #[cfg(unix)]
            Some(CliCommand::Top(args)) => control::top(&args),
            #[cfg(unix)]
            Some(CliCommand::Layout(args)) => control::layout(&args),
            #[cfg(unix)]
            Some(CliCommand::Plan(args)) => control::plan(&args),
            #[cfg(unix)]
            Some(CliCommand::Apply(args)) => control::apply(&args),
            #[cfg(unix)]
            Some(CliCommand::Set(args)) => control::set(&args),
            #[cfg(unix)]
            Some(CliCommand::Transfer(args)) => control::transfer(&args),
            #[cfg(unix)]
            Some(CliCommand::Undo(args)) => control::undo(&args),
            #[cfg(unix)]
            Some(CliCommand::Redo(args)) => control::redo(&args),
            #[cfg(unix)]
            Some(CliCommand::Wait(args)) => control::wait(&args),
            #[cfg(unix)]
            Some(CliCommand::Reload(args)) => control::reload(&args),
            #[cfg(unix)]
            Some(CliCommand::Stop(args)) => control::stop(&args),
            Some(CliCommand::Config(args)) => config::run(&args),
            Some(CliCommand::Completions(args)) => completions::run(&args, Self::command()),
            Some(CliCommand::Man(args)) => man::run(&args, Self::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::ValueEnum;
    use clap_complete::Shell;

    use super::*;

    #[test]
    fn completions_name_every_subcommand() {
        let subcommands: Vec<String> =
            Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
        assert!(subcommands.contains(&"completions".to_owned()));
        for shell in Shell::value_variants() {
            let script = completions::script(*shell, Cli::command());
            let script = String::from_utf8(script).unwrap();
            for subcommand in &subcommands {
                assert!(script.contains(subcommand.as_str()), "{shell}: {subcommand}");
            }
        }
    }

    #[test]
    fn man_writes_a_page_per_subcommand() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("man");
        man::run(&man::ManArgs { out: Some(out.clone()) }, Cli::command()).unwrap();
        let mut expected: Vec<String> = Cli::command()
            .get_subcommands()
            .map(|command| format!("divvy-{}.1", command.get_name()))
            .collect();
        expected.push("divvy.1".to_owned());
        expected.sort();
        let mut written: Vec<String> = fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        written.sort();
        assert_eq!(written, expected);
        let page = fs::read_to_string(out.join("divvy-man.1")).unwrap();
        assert!(page.contains(".TH divvy-man 1"), "{page}");
        assert!(page.contains("DIR"), "{page}");
    }
}
