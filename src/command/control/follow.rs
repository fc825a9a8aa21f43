//! `divvy journal --follow`: the changes of a running divvy as they are made and judged.

use std::time::Duration;

use super::select::RunSelection;
use crate::command::CommandError;
use crate::command::stdout::print_text;
use crate::control::{ClientError, ControlClient};
use crate::telemetry::JournalEntry;

/// The longest wait for the next change at a time.
const PATIENCE: Duration = Duration::from_mins(1);

/// Prints the changes of a run until it ends: the newest `last` of those so far (`None` for all), then each new
/// one, and each one again when its status or verdict has changed. `format` returns the text of a change, or
/// `None` to leave it out.
///
/// # Errors
/// [`CommandError`] if it is not clear which run is meant, or it does not answer.
pub(in crate::command) fn follow(
    run: &RunSelection,
    last: Option<usize>,
    format: impl Fn(JournalEntry) -> Result<Option<String>, CommandError>,
) -> Result<(), CommandError> {
    let client = run.client()?;
    let mut stream = client.follow_journal(start(&client, last)?)?;
    loop {
        match stream.next(PATIENCE) {
            Ok(Some(entry)) => {
                if let Some(text) = format(entry)? {
                    print_text(text)?;
                }
            }
            Ok(None) => {}
            // the run has ended
            Err(ClientError::Lost { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Returns the number of the change before the newest `last` ones.
fn start(client: &ControlClient, last: Option<usize>) -> Result<u64, ClientError> {
    let Some(last) = last else { return Ok(0) };
    let entries = client.journal(0)?.entries;
    Ok(entries.iter().rev().nth(last).map_or(0, |entry| entry.id))
}
