//! The records of a journal file, and the names of its files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::telemetry::journal::JournalEntry;

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
        entry: Arc<JournalEntry>,
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
pub(super) fn files(folder: &Path) -> impl DoubleEndedIterator<Item = PathBuf> {
    let name = |age| match age {
        0 => folder.join("journal.ndjson"),
        _ => folder.join(format!("journal.{age}.ndjson")),
    };
    (0..=KEPT).map(name)
}
