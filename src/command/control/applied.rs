//! The output of subcommands that change a run.

use std::io::Write;

use crate::command::CommandError;
use crate::command::stdout::{print_json, print_text};
use crate::telemetry::{Applied, text};

/// The form of the output.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct OutputForm {
    /// Print JSON, in the form of the control socket's answer.
    #[arg(long)]
    pub json: bool,
}

/// Prints the number of a change to standard output, for scripts, and what it did to standard error.
///
/// # Errors
/// [`CommandError::Failed`] when the output cannot be written.
pub(super) fn print_applied(applied: &Applied, form: OutputForm) -> Result<(), CommandError> {
    if form.json {
        return print_json(applied);
    }
    let mut stderr = std::io::stderr();
    let status = text::status(&applied.status, applied.force_us);
    writeln!(stderr, "#{}: {}, {status}", applied.id, applied.plan.summary)?;
    for note in applied.plan.warnings.iter().chain(&applied.differences) {
        writeln!(stderr, "    {note}")?;
    }
    print_text(format!("{}\n", applied.id))
}
