//! `divvy completions SHELL`: generates the completion script of a shell.

use clap::{Args, Command};
use clap_complete::Shell;

use super::CommandError;
use super::stdout::print_text;

/// Arguments of `divvy completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell that will load the script.
    pub shell: Shell,
}

/// Prints the completion script for `command`.
///
/// # Errors
/// [`CommandError::Failed`] when standard output cannot be written.
pub fn run(args: &CompletionsArgs, command: Command) -> Result<(), CommandError> {
    print_text(script(args.shell, command))
}

/// Returns the completion script for `command`.
pub(crate) fn script(shell: Shell, mut command: Command) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "divvy", &mut script);
    script
}
