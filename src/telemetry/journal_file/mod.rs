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
mod record;
mod writer;

#[cfg(test)]
mod tests;

pub use read::{Journal, RunJournal, read};
pub use record::{FORMAT, KEPT, ROTATE_AT, Record, Run};
pub use writer::{JournalWriter, WriterOptions};
