//! The state that a process host shares with its rows and its threads.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::command::{CommandContext, CommandRecords};
use super::members::RowNumber;
use super::memory::MemoryGroups;
use super::options::ProcessOptions;
use super::originals::Originals;
use super::row::ProcessRow;
use super::weight::WeightPlanner;
use crate::machine::{CpuSet, ForeignProcess, ProcessFiles, ProcessId};
use crate::telemetry::OtherProcesses;

/// The folder of the records, within the state folder.
pub(super) const RECORDS: &str = "processes";

/// The state that a process host shares with its rows and its threads.
pub(super) struct HostShared {
    pub(super) options: ProcessOptions,
    pub(super) files: ProcessFiles,
    pub(super) originals: Originals,
    pub(super) planner: Arc<WeightPlanner>,
    pub(super) memory: MemoryGroups,
    /// The state that the commands share which divvy starts.
    pub(super) commands: CommandContext,
    /// divvy's own process.
    pub(super) own: Option<ProcessId>,
    /// The CPUs that divvy itself may use, which started processes would have without a row.
    pub(super) own_mask: CpuSet,
    state: Mutex<HostState>,
    /// Notified when the thread is to scan early, or to end.
    changed: Condvar,
}

#[derive(Default)]
struct HostState {
    rows: Vec<Arc<ProcessRow>>,
    newest: RowNumber,
    reserved: CpuSet,
    others: Arc<OtherProcesses>,
    is_urgent: bool,
    has_ended: bool,
}

impl HostShared {
    /// The state of a new host, which reads the processes from `files`.
    pub(super) fn new(options: ProcessOptions, files: ProcessFiles) -> Self {
        let folder = records_folder(&options);
        let originals = Originals::new(folder.as_deref(), &files);
        let own_cgroups = MemoryGroups::folder(files.root());
        let planner = Arc::new(WeightPlanner::new(files.root(), own_cgroups));
        let memory = MemoryGroups::new(&files);
        let records = CommandRecords::open(folder.as_deref(), &options.name);
        let commands = CommandContext::new(records, options.end);
        let own = files.stat(std::process::id() as i32).map(|own| own.id);
        let own_mask = own.and_then(|own| mask(&files, own)).unwrap_or(CpuSet::EMPTY);
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self { options, files, originals, planner, memory, commands, own, own_mask, state, changed }
    }

    fn lock(&self) -> MutexGuard<'_, HostState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the folder of the records; `None` if none are kept.
    pub(super) fn records_folder(&self) -> Option<PathBuf> {
        records_folder(&self.options)
    }

    /// Returns a number for a new row.
    pub(super) fn next_row(&self) -> RowNumber {
        let mut state = self.lock();
        state.newest += 1;
        state.newest
    }

    /// Adds a row and scans at once.
    pub(super) fn add_row(&self, row: Arc<ProcessRow>) {
        self.lock().rows.push(row);
        self.scan_soon();
    }

    /// Removes a row.
    pub(super) fn remove_row(&self, number: RowNumber) {
        let removed: Vec<_> = {
            let mut state = self.lock();
            state.rows.extract_if(.., |row| row.number() == number).collect()
        };
        // Dropped without the lock.
        drop(removed);
        // Another row may wait for its processes.
        self.scan_soon();
    }

    /// Returns the rows, oldest first.
    pub(super) fn rows(&self) -> Vec<Arc<ProcessRow>> {
        self.lock().rows.clone()
    }

    /// Returns the numbers of the processes that divvy started, and of their descendants.
    pub(super) fn started_processes(&self) -> BTreeSet<i32> {
        let started = self.rows().into_iter().filter(|row| row.is_started());
        started.flat_map(|row| row.members().iter().map(|id| id.pid).collect::<Vec<_>>()).collect()
    }

    /// Returns the cores that rows have reserved.
    pub(super) fn reserved(&self) -> CpuSet {
        self.lock().reserved
    }

    /// Sets the cores that rows have reserved.
    pub(super) fn set_reserved(&self, reserved: CpuSet) {
        let before = std::mem::replace(&mut self.lock().reserved, reserved);
        if before != reserved {
            self.scan_soon();
        }
    }

    /// Returns the processes that belong to no row.
    pub(super) fn others(&self) -> Arc<OtherProcesses> {
        self.lock().others.clone()
    }

    /// Sets the processes that belong to no row.
    pub(super) fn set_others(&self, others: Arc<OtherProcesses>) {
        self.lock().others = others;
    }

    /// Scans early.
    pub(super) fn scan_soon(&self) {
        self.lock().is_urgent = true;
        self.changed.notify_all();
    }

    /// Ends the threads.
    pub(super) fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    /// Waits until `due`, or until an early scan is asked for. Returns false at the end.
    pub(super) fn wait_until(&self, due: Instant) -> bool {
        let mut state = self.wait(due, |state| !state.is_urgent && !state.has_ended);
        state.is_urgent = false;
        !state.has_ended
    }

    /// Waits until `due`. Returns false at the end.
    pub(super) fn pause_until(&self, due: Instant) -> bool {
        !self.wait(due, |state| !state.has_ended).has_ended
    }

    fn wait(
        &self,
        due: Instant,
        waits: impl Fn(&mut HostState) -> bool,
    ) -> MutexGuard<'_, HostState> {
        let patience = due.saturating_duration_since(Instant::now()).min(Duration::from_hours(1));
        let result = self.changed.wait_timeout_while(self.lock(), patience, waits);
        result.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Returns the mask of a process's main thread.
fn mask(files: &ProcessFiles, id: ProcessId) -> Option<CpuSet> {
    ForeignProcess::find(files, id)?.affinity(id.pid).ok()
}

fn records_folder(options: &ProcessOptions) -> Option<PathBuf> {
    options.state.as_ref().map(|folder| folder.join(RECORDS))
}
