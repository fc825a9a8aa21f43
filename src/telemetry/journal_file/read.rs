//! Reads all files of a journal. Keeps the newest state of each entry and a warning per unreadable
//! line.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::record::{FORMAT, Record, Run, files};
use crate::telemetry::JournalEntry;

/// The contents of the journal files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Journal {
    /// Runs, ordered by start time.
    pub runs: Vec<RunJournal>,
    /// One warning per skipped line, with the reason.
    pub warnings: Vec<String>,
}

/// One run and its changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunJournal {
    /// The header. If rotation has deleted it, only the id is set, and the start time is that of
    /// the oldest remaining entry.
    pub run: Run,
    /// Changes, oldest first.
    pub entries: Vec<JournalEntry>,
}

/// Reads the journal in a state folder. A missing folder yields an empty journal.
///
/// # Errors
/// Fails if an existing file cannot be read; the error names the file.
pub fn read(folder: &Path) -> io::Result<Journal> {
    let mut headers: BTreeMap<String, Run> = BTreeMap::new();
    let mut entries: BTreeMap<String, BTreeMap<u64, JournalEntry>> = BTreeMap::new();
    let mut warnings = Vec::new();
    for path in files(folder).rev() {
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                return Err(io::Error::new(error.kind(), message));
            }
        };
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let is_complete = line.ends_with(b"\n");
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(line) {
                Ok(Record::Run(run)) if run.format > FORMAT => warnings.push(format!(
                    "{}, line {}: a newer divvy ({}) wrote this run in format {}, and this one \
                     reads up to {FORMAT}; parts of it may be missing",
                    path.display(),
                    index + 1,
                    run.version,
                    run.format,
                )),
                Ok(Record::Run(run)) => drop(headers.insert(run.id.clone(), run)),
                Ok(Record::Entry { run, entry }) => {
                    entries.entry(run).or_default().insert(entry.id, Arc::unwrap_or_clone(entry));
                }
                Err(_) if !is_complete => warnings.push(format!(
                    "{}: the last line is torn: divvy or the machine ended while it was written; \
                     it is skipped",
                    path.display()
                )),
                Err(error) => warnings.push(format!(
                    "{}, line {}: {error}; the line is skipped",
                    path.display(),
                    index + 1
                )),
            }
        }
    }
    for (id, run_entries) in &entries {
        headers.entry(id.clone()).or_insert_with(|| Run {
            id: id.clone(),
            started_unix_ms: run_entries.values().next().map_or(0, |entry| entry.at_unix_ms),
            ..Run::default()
        });
    }
    let mut runs: Vec<RunJournal> = headers
        .into_iter()
        .map(|(id, run)| {
            let entries = entries.remove(&id).unwrap_or_default().into_values().collect();
            RunJournal { run, entries }
        })
        .collect();
    runs.sort_by_key(|run| run.run.started_unix_ms);
    Ok(Journal { runs, warnings })
}
