//! The error for a file or folder that cannot be written.

use std::io;
use std::path::Path;

use crate::command::CommandError;

/// Returns the error for a path that cannot be written.
pub(super) fn cannot_write(path: &Path, error: &io::Error) -> CommandError {
    CommandError::Failed(format!("cannot write {}: {error}", path.display()))
}
