//! The journal on disk: NDJSON in the state folder, one line a record, written by a thread of its
//! own and read back by `divvy journal`.
//!
//! A run writes a header line first, then a line for each change. A later line with the same run and
//! entry takes the place of the earlier one: that is how a verdict or an undo is added. Lines are
//! appended whole and synced, so that a crash can tear the last one at most; a reader skips it.
//!
//! Rotation: a file that has reached [`ROTATE_AT`] bytes is renamed before the next write, from
//! `journal.ndjson` to `journal.1.ndjson`, from there to `journal.2.ndjson`, and so on; [`KEPT`]
//! older files are kept. All of them together are the journal.

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

/// Size in bytes from which a file is rotated.
pub const ROTATE_AT: u64 = 8 << 20;

/// Version of the format that this build writes; raised if older builds could misread it.
pub const FORMAT: u32 = 1;

/// Rotated files that are kept beside the one that is written.
pub const KEPT: usize = 3;

/// One run of divvy: the header line of its part of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Version of the journal's format; 0 in journals from before versions existed.
    #[serde(default)]
    pub format: u32,
    /// Tells runs apart: the start in UTC and a random part.
    pub id: String,
    /// The start, milliseconds since 1970 in UTC.
    pub started_unix_ms: u64,
    /// divvy's version.
    pub version: String,
    /// The machine in a few words.
    pub machine: String,
    /// The title of the layout that it began with.
    pub layout: String,
}

impl Run {
    /// A run that starts now.
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
    /// A change, or its newer state.
    Entry {
        /// The run's id.
        run: String,
        /// The change.
        entry: Box<JournalEntry>,
    },
}

impl Record {
    /// The record as a line, with its end.
    ///
    /// # Errors
    /// When a value has no form in JSON.
    pub fn line(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// The files of a journal from the newest to the oldest that can be there.
fn files(folder: &Path) -> impl DoubleEndedIterator<Item = PathBuf> {
    let name = |age| match age {
        0 => folder.join("journal.ndjson"),
        _ => folder.join(format!("journal.{age}.ndjson")),
    };
    (0..=KEPT).map(name)
}
