//! The processes of a row as a workload.

use std::time::Duration;

use super::workload::Workload;
use crate::machine::CpuSet;
use crate::pool::Member;
use crate::process::{ProcessRow, ProcessSample};
use crate::telemetry::{Recorder, RequestCounts, UseRecord};

impl Workload for ProcessRow {
    fn threads(&self) -> Vec<Member> {
        Vec::new()
    }

    fn forget_ended_threads(&self) {}

    fn mask(&self) -> CpuSet {
        self.mask()
    }

    fn pin(&self, mask: CpuSet) -> Vec<String> {
        self.pin(mask)
    }

    fn nice(&self) -> i32 {
        self.nice()
    }

    fn set_nice(&self, nice: i32) -> Result<(), Vec<String>> {
        self.set_nice(nice)
    }

    fn strays(&self) -> Vec<String> {
        self.strays()
    }

    fn counts(&self) -> RequestCounts {
        RequestCounts::default()
    }

    fn recorder(&self) -> Option<&Recorder> {
        None
    }

    fn use_record(&self) -> Option<&UseRecord> {
        Some(self.use_record())
    }

    fn processes(&self) -> Option<ProcessSample> {
        Some(self.sample())
    }

    fn read_only(&self) -> Option<String> {
        self.read_only()
    }

    fn weight_refusal(&self) -> Option<String> {
        self.weight_refusal()
    }

    fn set_memory(&self, limit: Option<u64>) {
        self.set_memory(limit);
    }

    fn memory_excess(&self) -> Option<String> {
        self.memory_excess()
    }

    fn shrink(&self) {}

    fn drain(&self, patience: Duration) -> bool {
        self.release(patience)
    }

    fn shut_down(&self, patience: Duration) -> bool {
        self.shut_down(patience)
    }

    fn has_ended(&self) -> bool {
        self.has_ended()
    }
}
