//! The record of started processes in the state folder, from which the next run of the same name adopts
//! those that live.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::end_tree;
use crate::layout::ProcessCommand;
use crate::machine::{ProcessId, child_processes, replace_file};

/// The format version of the file.
const VERSION: u32 = 1;

/// The record of the processes that runs of one name started. Clones share it.
#[derive(Clone, Debug)]
pub(in crate::process) struct CommandRecords(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The folder, and the name of the run in names of files; `None` keeps no record.
    place: Option<(PathBuf, String)>,
    own: Option<ProcessId>,
    boot: String,
}

/// One started process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StartedRecord {
    /// The name of its row.
    pub row: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The folder in which it was started.
    #[serde(default)]
    pub dir: Option<PathBuf>,
    /// The process.
    pub process: ProcessId,
    /// The value of the variable that marks its descendants.
    pub mark: String,
    /// The file of its output.
    #[serde(default)]
    pub output: Option<PathBuf>,
    /// The inode of the pipe of its output.
    #[serde(default)]
    pub pipe: Option<u64>,
    /// The divvy that supervises it; `None` if it was left running.
    #[serde(default)]
    pub divvy: Option<ProcessId>,
}

/// The processes of a row that an earlier run left.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EarlierCommand {
    /// Nothing that lives.
    Nothing,
    /// These processes of the same command live.
    Same(StartedRecord, Vec<ProcessId>),
    /// These processes of another command live.
    Other(StartedRecord, Vec<ProcessId>),
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct RecordFile {
    version: u32,
    /// The boot to which the numbers belong.
    boot: String,
    commands: Vec<StartedRecord>,
}

impl CommandRecords {
    /// The record of the runs of one name in this folder, which need not exist; `None` keeps no record.
    pub(in crate::process) fn open(folder: Option<&Path>, name: &str) -> Self {
        let plain = |letter: char| {
            if letter.is_alphanumeric() || "._-".contains(letter) { letter } else { '_' }
        };
        let place = folder.map(|folder| (folder.to_owned(), name.chars().map(plain).collect()));
        let own = child_processes::process_relation(std::process::id() as i32);
        let own = own.map(|process| process.id);
        Self(Arc::new(Inner { place, own, boot: child_processes::boot_id() }))
    }

    /// Returns the file for the output of a row that outlives divvy; `None` if no record is kept.
    pub(super) fn output_file(&self, row: &str) -> Option<PathBuf> {
        let (folder, name) = self.0.place.as_ref()?;
        let plain = |letter: char| if letter.is_alphanumeric() { letter } else { '_' };
        let row: String = row.chars().map(plain).collect();
        fs::create_dir_all(folder).ok()?;
        Some(folder.join(format!("started-{name}-{row}.out")))
    }

    /// Looks up what an earlier run left of a row. A [`EarlierCommand::Same`] belongs to this run from now on.
    pub(super) fn claim(&self, row: &str, command: &ProcessCommand) -> EarlierCommand {
        let mut found = EarlierCommand::Nothing;
        self.update(|records| {
            let is_free = |record: &StartedRecord| !record.divvy.is_some_and(lives);
            for record in records.iter_mut().filter(|record| record.row == row && is_free(record)) {
                let mut living = end_tree::marked_processes(&record.mark);
                if lives(record.process) && !living.contains(&record.process) {
                    living.push(record.process);
                }
                if living.is_empty() {
                    continue;
                }
                if record.args == command.args && record.dir == command.dir {
                    record.divvy = self.0.own;
                    found = EarlierCommand::Same(record.clone(), living);
                    return;
                }
                found = EarlierCommand::Other(record.clone(), living);
            }
        });
        found
    }

    /// Records a process that this run started, in place of an earlier one of the same mark.
    pub(super) fn put(&self, record: StartedRecord) {
        let record = StartedRecord { divvy: self.0.own, ..record };
        self.update(|records| {
            records.retain(|other| other.mark != record.mark);
            records.push(record);
        });
    }

    /// Changes the row of the process with this mark.
    pub(super) fn rename(&self, mark: &str, row: &str) {
        self.update(|records| {
            for record in records.iter_mut().filter(|record| record.mark == mark) {
                row.clone_into(&mut record.row);
            }
        });
    }

    /// Removes a process that has ended.
    pub(super) fn remove(&self, mark: &str) {
        self.update(|records| records.retain(|record| record.mark != mark));
    }

    /// Leaves a process running for the next run of this name.
    pub(super) fn release(&self, mark: &str) {
        self.update(|records| {
            for record in records.iter_mut().filter(|record| record.mark == mark) {
                record.divvy = None;
            }
        });
    }

    fn update(&self, change: impl FnOnce(&mut Vec<StartedRecord>)) {
        let Some((folder, name)) = &self.0.place else { return };
        let path = folder.join(format!("started-{name}.json"));
        if let Err(error) = self.update_file(&path, change) {
            tracing::warn!(
                "{}: the record of started processes is not kept, so the next run cannot adopt them: \
                 {error}",
                path.display()
            );
        }
    }

    fn update_file(
        &self,
        path: &Path,
        change: impl FnOnce(&mut Vec<StartedRecord>),
    ) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Runs of the same name, and the commands of one run, take turns.
        let lock = File::create(path.with_extension("lock"))?;
        lock.lock()?;
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut file: RecordFile = serde_json::from_slice(&text).unwrap_or_default();
        if file.version > VERSION {
            return Err(io::Error::other("a newer divvy wrote it; remove it, or use that divvy"));
        }
        if file.boot != self.0.boot {
            file.commands.clear();
        }
        let before = file.commands.clone();
        change(&mut file.commands);
        if file.commands == before {
            return Ok(());
        }
        file.version = VERSION;
        file.boot.clone_from(&self.0.boot);
        replace_file(path, &serde_json::to_vec(&file)?)
    }
}

/// Returns true if a process lives.
pub(super) fn lives(process: ProcessId) -> bool {
    let now = child_processes::process_relation(process.pid);
    now.is_some_and(|now| now.id == process && !now.is_zombie)
}
