//! `divvy completions SHELL`: the shell's completion script, from the one definition of the command
//! line.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::CommandError;
use crate::cli::Cli;

/// Arguments of `divvy completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell that will read the script.
    pub shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// When stdout cannot be written; one that is closed early is no error.
pub fn run(args: &CompletionsArgs) -> Result<(), CommandError> {
    match io::stdout().write_all(&script(args.shell)) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "divvy", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_learns_every_subcommand() {
        let subcommands: Vec<String> =
            Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
        assert!(subcommands.contains(&"completions".to_owned()));
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell)).unwrap();
            for subcommand in &subcommands {
                assert!(script.contains(subcommand.as_str()), "{shell}: {subcommand}");
            }
        }
    }
}
