//! Errors of saving a layout.

use thiserror::Error;

use super::faults::Faults;

/// An error of saving a layout. The file is as it was before.
#[derive(Debug, Error)]
pub enum SaveError {
    /// The file cannot be written.
    #[error("cannot save {path}: {reason}; {help}")]
    Write {
        /// The file.
        path: String,
        /// The system's message.
        reason: String,
        /// The advice.
        help: &'static str,
    },
    /// A path in the layout is not UTF-8.
    #[error("cannot save the path {path}: a layout file must be UTF-8; rename the file")]
    NotText {
        /// The path, as far as it can be shown.
        path: String,
    },
    /// The layout has values that no layout file may have: the written text would not be read back.
    #[error("cannot save this layout, since it could not be opened again:\n{0}")]
    Invalid(Box<Faults>),
}
