//! `divvy undo` and `divvy redo`.

use super::applied::{OutputForm, print_applied};
use super::select::RunSelection;
use crate::command::CommandError;
use crate::control::api::HistoryBody;

/// Arguments of `divvy undo` and `divvy redo`.
#[derive(Clone, Debug, clap::Args)]
pub struct HistoryArgs {
    /// The running divvy.
    #[command(flatten)]
    pub run: RunSelection,
    /// The output.
    #[command(flatten)]
    pub form: OutputForm,
}

/// Undoes the newest change.
///
/// # Errors
/// [`CommandError::Failed`] if there is none, or it cannot be undone.
pub fn undo(args: &HistoryArgs) -> Result<(), CommandError> {
    print_applied(&args.run.client()?.undo(&HistoryBody::default())?, args.form)
}

/// Redoes the newest undone change.
///
/// # Errors
/// As [`undo`].
pub fn redo(args: &HistoryArgs) -> Result<(), CommandError> {
    print_applied(&args.run.client()?.redo(&HistoryBody::default())?, args.form)
}
