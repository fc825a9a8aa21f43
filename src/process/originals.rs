//! The settings that divvy found, in a file, so that they can be restored after a crash.
//!
//! A file per run, written before the first change of a process. It need not survive a crash of the machine,
//! which ends the processes too, so nothing waits for the disk.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::members::RowNumber;
use super::weight::WeightOriginals;
use crate::machine::{CpuSet, ProcessFiles, ProcessId, child_processes};

/// The version of the file's format.
const VERSION: u32 = 1;

/// The beginning of the names of these files.
const PREFIX: &str = "found-";

/// The settings of one process before divvy changed them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FoundProcess {
    #[serde(flatten)]
    pub(super) id: ProcessId,
    /// The mask of its main thread.
    pub(super) mask: CpuSet,
    /// The masks of threads that had another one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    threads: BTreeMap<i32, CpuSet>,
}

impl FoundProcess {
    pub(super) fn new(id: ProcessId, mask: CpuSet) -> Self {
        Self { id, mask, threads: BTreeMap::new() }
    }

    /// The process with the masks of some threads.
    pub(super) fn with(
        id: ProcessId,
        mask: CpuSet,
        threads: impl Iterator<Item = (i32, CpuSet)>,
    ) -> Self {
        let mut found = Self::new(id, mask);
        for (tid, own) in threads {
            found.add(tid, own);
        }
        found
    }

    /// Adds the mask of a thread.
    pub(super) fn add(&mut self, tid: i32, own: CpuSet) {
        if own != self.mask {
            self.threads.insert(tid, own);
        }
    }

    /// Returns the mask that a thread had, or would have had.
    pub(super) fn own(&self, tid: i32) -> CpuSet {
        self.threads.get(&tid).copied().unwrap_or(self.mask)
    }

    /// Adds what another record of the same process knows besides. Returns true if that is something.
    fn merge(&mut self, other: &Self) -> bool {
        let mut is_new = false;
        for (tid, own) in &other.threads {
            is_new |= self.threads.insert(*tid, *own) != Some(*own);
        }
        is_new
    }
}

/// The content of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OriginalsFile {
    version: u32,
    /// The boot to which the numbers belong: after another one, or on another host that shares the folder,
    /// they are those of other processes.
    #[serde(default)]
    boot: String,
    /// The divvy that wrote it.
    divvy: ProcessId,
    /// The processes of each row.
    pub(super) rows: BTreeMap<String, Vec<FoundProcess>>,
    /// The nice values of each row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) weights: Vec<FoundWeight>,
}

/// The nice values of one row before divvy changed them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FoundWeight {
    pub(super) row: String,
    #[serde(flatten)]
    pub(super) found: WeightOriginals,
}

/// The settings that this run found.
pub(super) struct Originals {
    path: Option<PathBuf>,
    record: Mutex<OriginalsRecord>,
}

struct OriginalsRecord {
    divvy: ProcessId,
    processes: BTreeMap<ProcessId, (String, FoundProcess)>,
    weights: BTreeMap<RowNumber, FoundWeight>,
    /// True once a write has failed, which is logged once.
    has_failed: bool,
}

impl Originals {
    /// The settings of a new run, kept in `folder`.
    pub(super) fn new(folder: Option<&Path>, files: &ProcessFiles) -> Self {
        let pid = std::process::id() as i32;
        let divvy = files.stat(pid).map_or(ProcessId { pid, start_ticks: 0 }, |process| process.id);
        Self {
            // With the start time: a later divvy of this number must not replace it.
            path: folder
                .map(|folder| folder.join(format!("{PREFIX}{pid}-{}.json", divvy.start_ticks))),
            record: Mutex::new(OriginalsRecord {
                divvy,
                processes: BTreeMap::new(),
                weights: BTreeMap::new(),
                has_failed: false,
            }),
        }
    }

    fn record(&self) -> MutexGuard<'_, OriginalsRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the settings of a process before they change. Those that are known already stay.
    pub(super) fn note(&self, row: &str, found: FoundProcess) {
        self.note_all(row, std::iter::once(found));
    }

    /// Notes the settings of processes before they change. Writes the file if any is new.
    pub(super) fn note_all(&self, row: &str, all: impl IntoIterator<Item = FoundProcess>) {
        let mut record = self.record();
        let mut is_new = false;
        for found in all {
            if let Some((_, known)) = record.processes.get_mut(&found.id) {
                is_new |= known.merge(&found);
            } else {
                record.processes.insert(found.id, (row.to_owned(), found));
                is_new = true;
            }
        }
        if is_new {
            self.write(&mut record);
        }
    }

    /// Notes the nice values of a row before they change.
    pub(super) fn note_weight(&self, number: RowNumber, row: &str, found: &WeightOriginals) {
        let weight = FoundWeight { row: row.to_owned(), found: found.clone() };
        let mut record = self.record();
        if found.is_empty() {
            record.weights.remove(&number);
        } else {
            record.weights.insert(number, weight);
        }
        self.write(&mut record);
    }

    /// Forgets the nice values of a row that have been restored.
    pub(super) fn forget_weight(&self, number: RowNumber) {
        let mut record = self.record();
        if record.weights.remove(&number).is_some() {
            self.write(&mut record);
        }
    }

    /// Forgets processes that have ended or have been restored.
    pub(super) fn retain(&self, is_needed: impl Fn(ProcessId) -> bool) {
        let mut record = self.record();
        let before = record.processes.len();
        record.processes.retain(|id, _| is_needed(*id));
        if record.processes.len() != before {
            self.write(&mut record);
        }
    }

    fn write(&self, record: &mut OriginalsRecord) {
        let Some(path) = &self.path else { return };
        let mut rows: BTreeMap<String, Vec<FoundProcess>> = BTreeMap::new();
        for (row, found) in record.processes.values() {
            rows.entry(row.clone()).or_default().push(found.clone());
        }
        let weights = record.weights.values().cloned().collect();
        let (divvy, boot) = (record.divvy, child_processes::boot_id());
        let file = OriginalsFile { version: VERSION, boot, divvy, rows, weights };
        if let Err(error) = write_or_remove(path, &file)
            && !std::mem::replace(&mut record.has_failed, true)
        {
            tracing::warn!(
                "cannot write {}: {error}; what divvy changes in other processes cannot be restored after \
                 a crash",
                path.display()
            );
        }
    }
}

/// Replaces a file, or removes it if it has nothing to restore.
pub(super) fn write_or_remove(path: &Path, file: &OriginalsFile) -> io::Result<()> {
    if file.rows.values().all(Vec::is_empty) && file.weights.is_empty() {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let temporary = path.with_extension("json.tmp");
    fs::write(&temporary, serde_json::to_vec(file)?)?;
    fs::rename(&temporary, path)
}

/// The file of a run.
pub(super) struct RunFile {
    pub(super) path: PathBuf,
    pub(super) file: OriginalsFile,
}

/// Returns the files of runs in a folder that have ended without restoring.
pub(super) fn dead_runs(folder: &Path, files: &ProcessFiles) -> Vec<RunFile> {
    let lives = |run: &RunFile| {
        let divvy = run.file.divvy;
        files.stat(divvy.pid).is_some_and(|process| process.id == divvy)
    };
    all_runs(folder).into_iter().filter(|run| !lives(run)).collect()
}

/// Returns the files of all runs of this boot in a folder, also of those that go on.
pub(super) fn all_runs(folder: &Path) -> Vec<RunFile> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_record = |path: &PathBuf| {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(PREFIX) && path.extension().is_some_and(|suffix| suffix == "json")
    };
    let boot = child_processes::boot_id();
    let read = |path: PathBuf| {
        let file: OriginalsFile = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        (file.version <= VERSION && file.boot == boot).then_some(RunFile { path, file })
    };
    entries.map(|entry| entry.path()).filter(is_record).filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(list: &str) -> CpuSet {
        list.parse().unwrap()
    }

    const ID: ProcessId = ProcessId { pid: 70, start_ticks: 900 };

    fn files() -> ProcessFiles {
        ProcessFiles::new(Path::new("/"))
    }

    fn found_files(folder: &Path) -> usize {
        fs::read_dir(folder).map_or(0, Iterator::count)
    }

    #[test]
    fn file_exists_while_something_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let originals = Originals::new(Some(folder.path()), &files());
        assert_eq!(found_files(folder.path()), 0);
        originals.note("redis", FoundProcess::new(ID, set("0-3")));
        assert_eq!(found_files(folder.path()), 1);
        originals.retain(|_| false);
        assert_eq!(found_files(folder.path()), 0);
    }

    #[test]
    fn record_of_a_living_run_is_not_dead() {
        let folder = tempfile::tempdir().unwrap();
        let originals = Originals::new(Some(folder.path()), &files());
        originals.note("redis", FoundProcess::new(ID, set("0-3")));
        assert_eq!(dead_runs(folder.path(), &files()).len(), 0);
    }

    #[test]
    fn masks_of_a_dead_run_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("found-1.json");
        let mut found = FoundProcess::new(ID, set("0-3"));
        found.add(71, set("2"));
        found.add(72, set("0-3"));
        let rows = BTreeMap::from([("redis".to_owned(), vec![found.clone()])]);
        let divvy = ProcessId { pid: i32::MAX, start_ticks: 1 };
        let boot = child_processes::boot_id();
        let mut file = OriginalsFile { version: VERSION, boot, divvy, rows, weights: Vec::new() };
        write_or_remove(&path, &file).unwrap();
        file.boot = "another".to_owned();
        write_or_remove(&folder.path().join("found-3.json"), &file).unwrap();
        fs::write(folder.path().join("found-2.json"), "{").unwrap();
        let dead = dead_runs(folder.path(), &files());
        assert_eq!(dead.len(), 1);
        assert_eq!(dead[0].file.rows["redis"], [found.clone()]);
        assert_eq!([71, 72].map(|tid| found.own(tid)), [set("2"), set("0-3")]);
    }
}
