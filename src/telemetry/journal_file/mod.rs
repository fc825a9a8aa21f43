//! The journal on disk: NDJSON files in the state folder, one line per record. A separate thread
//! writes them; `divvy journal` reads them.
//!
//! A run writes a header line, then one line per change. A later line with the same run and entry
//! replaces the earlier one; this adds a verdict or an undo to an entry. Lines are appended whole
//! and synced: a crash can tear only the last line, which the reader skips.
//!
//! Rotation: when `journal.ndjson` has reached [`ROTATE_AT`] bytes, the next write first renames it
//! to `journal.1.ndjson`, the previous `journal.1.ndjson` to `journal.2.ndjson`, and so on.
//! [`KEPT`] rotated files are kept. The journal consists of all these files.

mod append;
mod read;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use read::{Journal, RunJournal, read};
pub use writer::{JournalWriter, WriterOptions};

use super::journal::JournalEntry;

/// File size in bytes at which the journal is rotated.
pub const ROTATE_AT: u64 = 8 << 20;

/// Version of the journal format that this build writes; raised if older builds could misread it.
pub const FORMAT: u32 = 1;

/// Number of rotated files that are kept.
pub const KEPT: usize = 3;

/// The header of one run of divvy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Version of the journal's format; 0 in journals from before versions existed.
    #[serde(default)]
    pub format: u32,
    /// Unique identifier: the start time in UTC and a random suffix.
    pub id: String,
    /// Start time in milliseconds since 1970, UTC.
    pub started_unix_ms: u64,
    /// Version of divvy.
    pub version: String,
    /// Short description of the machine.
    pub machine: String,
    /// Title of the initial layout.
    pub layout: String,
}

impl Run {
    /// Returns the header of a run that starts now.
    pub fn begin(machine: String, layout: String) -> Self {
        let now = jiff::Timestamp::now();
        let id = format!("{}-{:06x}", now.strftime("%Y%m%dT%H%M%S"), fastrand::u32(..1 << 24));
        Self {
            format: FORMAT,
            id,
            started_unix_ms: u64::try_from(now.as_millisecond()).unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine,
            layout,
        }
    }
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// The header of a run.
    Run(Run),
    /// A change, or a newer state of an earlier entry.
    Entry {
        /// The run's id.
        run: String,
        /// The change.
        entry: Box<JournalEntry>,
    },
}

impl Record {
    /// Returns the record as a JSON line with its newline.
    ///
    /// # Errors
    /// Fails if a value cannot be represented in JSON.
    pub fn line(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// Returns the paths of all journal files, newest first. Some may not exist.
fn files(folder: &Path) -> impl DoubleEndedIterator<Item = PathBuf> {
    let name = |age| match age {
        0 => folder.join("journal.ndjson"),
        _ => folder.join(format!("journal.{age}.ndjson")),
    };
    (0..=KEPT).map(name)
}
