//! Writes a command's output to standard output.

use std::io::{self, ErrorKind, Write as _};

use serde::Serialize;

use super::CommandError;

/// Writes text to standard output. A reader that closes the pipe early, such as `head`, is no error.
///
/// # Errors
/// [`CommandError::Failed`] when standard output cannot be written.
pub(crate) fn print_text(text: impl AsRef<[u8]>) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            Err(CommandError::Failed(format!("cannot write to standard output: {error}")))
        }
        Ok(()) => Ok(()),
    }
}

/// Writes a value to standard output as indented JSON.
///
/// # Errors
/// As [`print_text`].
pub(crate) fn print_json<T: Serialize>(value: &T) -> Result<(), CommandError> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|error| CommandError::Failed(format!("cannot write JSON: {error}")))?;
    print_text(format!("{json}\n"))
}
