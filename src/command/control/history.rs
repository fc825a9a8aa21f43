//! `divvy undo` and `divvy redo`.

use super::applied::{OutputForm, print_applied};
use super::select::RunSelection;
use crate::command::CommandError;
use crate::control::api::HistoryBody;

/// Arguments of `divvy undo`.
#[derive(Clone, Debug, clap::Args)]
pub struct UndoArgs {
    /// The number of a change, by any caller [default: the newest change of the command line].
    #[arg(value_name = "ID")]
    pub change: Option<u64>,
    /// The running divvy.
    #[command(flatten)]
    pub run: RunSelection,
    /// The output.
    #[command(flatten)]
    pub form: OutputForm,
}

/// Arguments of `divvy redo`.
#[derive(Clone, Debug, clap::Args)]
pub struct RedoArgs {
    /// The running divvy.
    #[command(flatten)]
    pub run: RunSelection,
    /// The output.
    #[command(flatten)]
    pub form: OutputForm,
}

/// Undoes a change.
///
/// # Errors
/// [`CommandError::Failed`] if there is none, or it cannot be undone.
pub fn undo(args: &UndoArgs) -> Result<(), CommandError> {
    let body = HistoryBody { change: args.change, expected: None };
    print_applied(&args.run.client()?.undo(&body)?, args.form)
}

/// Redoes the change that was undone last.
///
/// # Errors
/// As [`undo`].
pub fn redo(args: &RedoArgs) -> Result<(), CommandError> {
    print_applied(&args.run.client()?.redo(&HistoryBody::default())?, args.form)
}
