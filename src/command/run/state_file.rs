//! JSON files in the state folder, each with a format version.
//!
//! Files of older versions are read. A file of a newer version, or one that cannot be read, is set
//! aside under another name, so that nothing is overwritten.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use crate::machine::replace_file;

/// Names that [`set_aside`] tries before it fails.
const MOST_NAMES: usize = 1000;

/// A state file that this divvy cannot use.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum StateFileError {
    /// The file was written by a newer divvy.
    #[error("a newer divvy wrote it (format version {found}; this one reads up to {newest})")]
    Newer {
        /// Version of the file.
        found: u64,
        /// Newest version that this divvy reads.
        newest: u32,
    },
    /// The file is damaged, or not readable.
    #[error("it cannot be read ({0})")]
    Unreadable(String),
}

/// Reads a JSON state file; `None` if there is no such file.
///
/// Files of divvy 0.1.0 have no version and count as version 0.
///
/// # Errors
/// [`StateFileError`] for a file of a version above `newest`, or one that cannot be read.
pub(super) fn read<T: DeserializeOwned>(
    path: &Path,
    newest: u32,
) -> Result<Option<T>, StateFileError> {
    let unreadable = |error: &dyn std::fmt::Display| StateFileError::Unreadable(error.to_string());
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&error)),
    };
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
    if !value.is_object() {
        return Err(StateFileError::Unreadable("it is not a JSON object".to_owned()));
    }
    let version = value.get("version").and_then(Value::as_u64).unwrap_or(0);
    if version > u64::from(newest) {
        return Err(StateFileError::Newer { found: version, newest });
    }
    serde_json::from_value(value).map(Some).map_err(|error| unreadable(&error))
}

/// Writes a JSON state file, whole or not at all.
///
/// # Errors
/// When the folder cannot be written.
pub(super) fn write<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    replace_file(path, &serde_json::to_vec(value)?)
}

/// Renames a file to the first free name of `NAME.aside`, `NAME.aside-2` and so on; returns the new
/// path.
///
/// # Errors
/// When the file cannot be renamed.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let target = |number: usize| match number {
        1 => path.with_file_name(format!("{name}.aside")),
        _ => path.with_file_name(format!("{name}.aside-{number}")),
    };
    let free = (1..=MOST_NAMES).map(target).find(|target| !target.exists());
    let free = free.ok_or_else(|| io::Error::from(ErrorKind::AlreadyExists))?;
    fs::rename(path, &free)?;
    Ok(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_version_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        assert_eq!(read::<Value>(&path, 1), Ok(None));
        fs::write(&path, r#"{"version": 2, "other": []}"#).unwrap();
        assert_eq!(read::<Value>(&path, 1), Err(StateFileError::Newer { found: 2, newest: 1 }));
        assert!(read::<Value>(&path, 2).is_ok_and(|read| read.is_some()));
    }

    #[test]
    fn set_aside_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        for (text, name) in [("one", "x.json.aside"), ("two", "x.json.aside-2")] {
            fs::write(&path, text).unwrap();
            let aside = set_aside(&path).unwrap();
            assert_eq!(aside, folder.path().join(name));
            assert_eq!(fs::read_to_string(aside).unwrap(), text);
            assert!(!path.exists());
        }
    }
}
