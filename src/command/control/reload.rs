//! `divvy reload`: rereads the files of a running divvy.

use std::io::Write;

use super::applied::OutputForm;
use super::select::RunSelection;
use crate::command::CommandError;
use crate::command::stdout::print_json;

/// Arguments of `divvy reload`.
#[derive(Clone, Debug, clap::Args)]
pub struct ReloadArgs {
    /// The running divvy.
    #[command(flatten)]
    pub run: RunSelection,
    /// The output.
    #[command(flatten)]
    pub form: OutputForm,
}

/// Applies what has changed in the layout file, loads replaced model files, and rereads the tokens.
///
/// # Errors
/// [`CommandError::Failed`] with the faults; nothing has changed then.
pub fn reload(args: &ReloadArgs) -> Result<(), CommandError> {
    let answer = args.run.client()?.reload()?;
    if args.form.json {
        return print_json(&answer);
    }
    let mut stderr = std::io::stderr();
    answer.lines().iter().try_for_each(|line| writeln!(stderr, "{line}"))?;
    Ok(())
}
