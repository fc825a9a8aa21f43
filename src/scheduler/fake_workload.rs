//! A workload without a pool, as a process is one, for tests: its threads exist on a simulated machine only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::slot::{LoadPhase, Slot};
use super::workload::Workload;
use crate::layout::Budget;
use crate::machine::{CpuSet, Machine, SimulatedMachine, ThreadId};
use crate::pool::Member;
use crate::process::ProcessSample;
use crate::telemetry::{Recorder, RequestCounts, UseRecord};

/// The settings that a workload was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FakeSettings {
    pub(super) threads: Vec<ThreadId>,
    pub(super) mask: CpuSet,
    pub(super) nice: i32,
    pub(super) memory: Option<u64>,
    /// The mask of the threads that prepare it; `None` if it has none.
    pub(super) builders: Option<CpuSet>,
}

/// A workload without a pool.
pub(super) struct FakeWorkload {
    machine: Arc<SimulatedMachine>,
    settings: Mutex<FakeSettings>,
    pub(super) recorder: Option<Recorder>,
    pub(super) sample: Option<ProcessSample>,
    pub(super) use_record: Option<UseRecord>,
    pub(super) is_drained: AtomicBool,
}

impl FakeWorkload {
    /// A workload without threads.
    fn empty(machine: &Arc<SimulatedMachine>) -> Self {
        Self {
            machine: machine.clone(),
            settings: Mutex::default(),
            recorder: None,
            sample: None,
            use_record: None,
            is_drained: AtomicBool::new(false),
        }
    }

    /// A workload with one thread.
    pub(super) fn new(machine: &Arc<SimulatedMachine>) -> Arc<Self> {
        let threads = vec![ThreadId { tid: 4711, start_ticks: Some(100) }];
        let settings = Mutex::new(FakeSettings { threads, ..FakeSettings::default() });
        Arc::new(Self { settings, ..Self::empty(machine) })
    }

    /// A workload that has threads which prepare it.
    pub(super) fn with_builders(machine: &Arc<SimulatedMachine>) -> Arc<Self> {
        let workload = Self::new(machine);
        workload.settings.lock().unwrap().builders = Some(CpuSet::EMPTY);
        workload
    }

    /// A workload that records latencies.
    pub(super) fn recording(machine: &Arc<SimulatedMachine>, recorder: Recorder) -> Arc<Self> {
        Arc::new(Self { recorder: Some(recorder), ..Self::empty(machine) })
    }

    /// A workload of processes with this sample and no thread on the machine.
    pub(super) fn of_processes(
        machine: &Arc<SimulatedMachine>,
        sample: ProcessSample,
    ) -> Arc<Self> {
        Arc::new(Self { sample: Some(sample), ..Self::empty(machine) })
    }

    /// A workload that records its use of the CPUs, as processes do.
    pub(super) fn measured(use_record: UseRecord) -> Arc<Self> {
        let machine = Arc::new(SimulatedMachine::uniform(2));
        Arc::new(Self { use_record: Some(use_record), ..Self::empty(&machine) })
    }

    /// A slot for it, as a row asks for.
    pub(super) fn slot(self: &Arc<Self>, budget: &Budget) -> Slot {
        let mut slot = Slot::new(self.clone(), None, 1, budget);
        slot.phase = LoadPhase::Loaded;
        slot
    }

    pub(super) fn settings(&self) -> FakeSettings {
        self.settings.lock().unwrap().clone()
    }
}

impl Workload for FakeWorkload {
    fn threads(&self) -> Vec<Member> {
        let member = |id| Member { id, instance: 0, helper: false };
        self.settings().threads.into_iter().map(member).collect()
    }

    fn forget_ended_threads(&self) {
        self.settings.lock().unwrap().threads.retain(|thread| !self.machine.has_ended(*thread));
    }

    fn mask(&self) -> CpuSet {
        self.settings().mask
    }

    fn pin(&self, mask: CpuSet) -> Vec<String> {
        self.settings.lock().unwrap().mask = mask;
        let pin = |thread| self.machine.set_affinity(thread, &mask).err();
        let failed = self.settings().threads.into_iter().filter_map(pin);
        failed.map(|error| error.to_string()).collect()
    }

    fn nice(&self) -> i32 {
        self.settings().nice
    }

    fn set_nice(&self, nice: i32) -> Result<(), Vec<String>> {
        self.settings.lock().unwrap().nice = nice;
        for thread in self.settings().threads {
            self.machine.set_nice(thread, nice).map_err(|error| vec![error.to_string()])?;
        }
        Ok(())
    }

    fn strays(&self) -> Vec<String> {
        let FakeSettings { threads, mask, .. } = self.settings();
        let is_stray = |thread: &ThreadId| self.machine.affinity(*thread) != Ok(mask);
        threads.iter().filter(|thread| is_stray(thread)).map(ToString::to_string).collect()
    }

    fn counts(&self) -> RequestCounts {
        RequestCounts::default()
    }

    fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }

    fn use_record(&self) -> Option<&UseRecord> {
        self.use_record.as_ref()
    }

    fn processes(&self) -> Option<ProcessSample> {
        self.sample.clone()
    }

    fn builder_cores(&self) -> Option<CpuSet> {
        self.settings().builders
    }

    fn pin_builders(&self, cores: CpuSet) -> Vec<String> {
        self.settings.lock().unwrap().builders = Some(cores);
        Vec::new()
    }

    fn set_memory(&self, limit: Option<u64>) {
        self.settings.lock().unwrap().memory = limit;
    }

    fn memory_excess(&self) -> Option<String> {
        None
    }

    fn shrink(&self) {}

    fn drain(&self, _: Duration) -> bool {
        self.is_drained.store(true, Ordering::SeqCst);
        true
    }

    fn has_ended(&self) -> bool {
        true
    }
}
