//! Processes that an earlier run of divvy has changed and not restored.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::host_shared;
use super::originals::{FoundProcess, OriginalsFile, all_runs, dead_runs, write_or_remove};
use super::placement::read_masks;
use crate::machine::{CpuSet, ForeignError, ForeignProcess, ProcessFiles, ProcessId};

/// A process that an earlier run of divvy has changed and not restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The row that it belonged to.
    pub row: String,
    /// The process.
    pub process: ProcessId,
    /// Its name.
    pub name: String,
    /// The CPUs on which its threads may run now, together.
    pub now: CpuSet,
    /// The CPUs of its main thread before divvy changed them.
    pub before: CpuSet,
    /// The number of threads that have another mask than before.
    pub threads: usize,
    /// True if its nice value or that of its autogroup is another one than before.
    pub has_other_weight: bool,
}

/// Returns the processes that runs have changed which have ended without restoring. Removes records that
/// name no such process.
pub(super) fn find(state: &Path, files: &ProcessFiles) -> Vec<Leftover> {
    let mut found = Vec::new();
    for mut run in dead_runs(&folder(state), files) {
        let before = found.len();
        for (row, processes) in &run.file.rows {
            found.extend(processes.iter().filter_map(|process| leftover(row, process, files)));
        }
        for weight in run.file.weights.iter().filter(|weight| weight.found.differs(files.root())) {
            for process in weight.found.named_processes() {
                match found.iter_mut().find(|leftover| leftover.process == process) {
                    Some(leftover) => leftover.has_other_weight = true,
                    None => found.extend(weight_leftover(&weight.row, process, files)),
                }
            }
        }
        if found.len() == before {
            run.file.rows.clear();
            run.file.weights.clear();
            // It is found again at the next start.
            let _ = write_or_remove(&run.path, &run.file);
        }
    }
    found
}

/// Restores all of them. Returns a message per thread that keeps another mask.
pub(super) fn restore(state: &Path, files: &ProcessFiles) -> Vec<String> {
    let mut errors = Vec::new();
    for mut run in dead_runs(&folder(state), files) {
        for processes in run.file.rows.values_mut() {
            processes.retain(|process| {
                let failed = restore_process(process, files);
                let is_left = !failed.is_empty();
                errors.extend(failed);
                is_left
            });
        }
        errors.extend(restore_weights(&mut run.file, files));
        if let Err(error) = write_or_remove(&run.path, &run.file) {
            errors.push(format!("cannot write {}: {error}", run.path.display()));
        }
    }
    errors
}

/// The settings of processes that earlier runs have changed, for rows that take them in again. Those of runs
/// that go on count too: what they set is not what the process had.
#[derive(Default)]
pub(super) struct EarlierSettings(HashMap<ProcessId, FoundProcess>);

impl EarlierSettings {
    /// Reads them from the folder of the records.
    pub(super) fn read(records: &Path) -> Self {
        let runs = all_runs(records).into_iter();
        let all = runs.flat_map(|run| run.file.rows.into_values().flatten());
        Self(all.map(|found| (found.id, found)).collect())
    }

    /// Returns those of one process.
    pub(super) fn get(&self, id: ProcessId) -> Option<&FoundProcess> {
        self.0.get(&id)
    }

    /// Removes processes from the records of earlier runs, once this run's record has them.
    pub(super) fn remove(&mut self, taken: &[ProcessId], records: &Path, files: &ProcessFiles) {
        if !taken.iter().any(|id| self.0.remove(id).is_some()) {
            return;
        }
        for mut run in dead_runs(records, files) {
            for processes in run.file.rows.values_mut() {
                processes.retain(|process| !taken.contains(&process.id));
            }
            if let Err(error) = write_or_remove(&run.path, &run.file) {
                tracing::warn!("cannot write {}: {error}", run.path.display());
            }
        }
    }
}

/// Restores the nice values that earlier runs have changed, so that this run finds those from before.
pub(super) fn restore_earlier_weights(records: &Path, files: &ProcessFiles) {
    for mut run in dead_runs(records, files).into_iter().filter(|run| !run.file.weights.is_empty())
    {
        for error in restore_weights(&mut run.file, files) {
            tracing::warn!("an earlier run of divvy has not restored a weight: {error}");
        }
        if let Err(error) = write_or_remove(&run.path, &run.file) {
            tracing::warn!("cannot write {}: {error}", run.path.display());
        }
    }
}

/// Restores the nice values of a record. Those that cannot be restored stay in it.
fn restore_weights(file: &mut OriginalsFile, files: &ProcessFiles) -> Vec<String> {
    let mut errors = Vec::new();
    file.weights.retain(|weight| {
        let failed = weight.found.restore(files.root());
        let is_left = !failed.is_empty();
        errors.extend(failed);
        is_left
    });
    errors
}

fn folder(state: &Path) -> PathBuf {
    state.join(host_shared::RECORDS)
}

fn leftover(row: &str, found: &FoundProcess, files: &ProcessFiles) -> Option<Leftover> {
    let process = ForeignProcess::find(files, found.id)?;
    let threads = read_masks(files, process, found.id.pid);
    let differs = threads.iter().filter(|thread| found.own(thread.tid) != thread.mask).count();
    (differs > 0).then(|| Leftover {
        row: row.to_owned(),
        process: found.id,
        name: files.stat(found.id.pid).map(|stat| stat.name.to_string()).unwrap_or_default(),
        now: threads.iter().fold(CpuSet::EMPTY, |all, thread| all.union(&thread.mask)),
        before: found.mask,
        threads: differs,
        has_other_weight: false,
    })
}

/// Returns a process whose weight differs, but not its masks.
fn weight_leftover(row: &str, id: ProcessId, files: &ProcessFiles) -> Option<Leftover> {
    let process = ForeignProcess::find(files, id)?;
    let mask = process.affinity(id.pid).ok()?;
    Some(Leftover {
        row: row.to_owned(),
        process: id,
        name: files.stat(id.pid).map(|stat| stat.name.to_string()).unwrap_or_default(),
        now: mask,
        before: mask,
        threads: 0,
        has_other_weight: true,
    })
}

fn restore_process(found: &FoundProcess, files: &ProcessFiles) -> Vec<String> {
    let Some(process) = ForeignProcess::find(files, found.id) else { return Vec::new() };
    let mut errors = Vec::new();
    // Again for threads that began meanwhile.
    for _ in 0..2 {
        errors.clear();
        for thread in read_masks(files, process, found.id.pid) {
            let own = found.own(thread.tid);
            if own == thread.mask {
                continue;
            }
            match process.set_affinity(thread.tid, &own) {
                Ok(()) | Err(ForeignError::Ended) => {}
                Err(error) => errors.push(format!(
                    "thread {} of process {} stays on {}, not on {own}: {error}",
                    thread.tid, found.id, thread.mask
                )),
            }
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::super::originals::Originals;
    use super::*;

    #[test]
    fn run_that_goes_on_knows_the_first_masks() {
        let (folder, files) = (tempfile::tempdir().unwrap(), ProcessFiles::new(Path::new("/")));
        let (id, all) = (ProcessId { pid: 70, start_ticks: 900 }, "0-3".parse().unwrap());
        let other_run = Originals::new(Some(folder.path()), &files);
        other_run.note("redis", FoundProcess::new(id, all));
        let earlier = EarlierSettings::read(folder.path());
        assert_eq!(earlier.get(id).map(|found| found.mask), Some(all));
        assert_eq!(dead_runs(folder.path(), &files).len(), 0);
    }
}
