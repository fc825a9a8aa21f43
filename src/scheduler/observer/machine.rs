//! The machine as the observer sees it: CPUs, GPUs, clients, other processes, and problems of the program.

use std::sync::Arc;

use crate::machine::{Clock, Description, Machine};
use crate::process::ProcessHost;
use crate::scheduler::messages::SchedulerState;
use crate::scheduler::slot::Slot;
use crate::telemetry::gpu::GpuSource;
use crate::telemetry::{Conditions, ServerSource};

/// The sources of the observer.
pub(in crate::scheduler) struct ObservedMachine {
    pub(in crate::scheduler) machine: Arc<dyn Machine>,
    pub(in crate::scheduler) clock: Arc<dyn Clock>,
    pub(in crate::scheduler) gpu: Option<Arc<dyn GpuSource>>,
    pub(in crate::scheduler) server: Option<Arc<dyn ServerSource>>,
    pub(in crate::scheduler) processes: Option<Arc<ProcessHost>>,
    pub(in crate::scheduler) conditions: Conditions,
}

impl ObservedMachine {
    /// Checks the machine and the placement of all threads. Returns the machine as it is if it has
    /// changed or any thread is not placed as asked.
    pub(super) fn check(&self, state: &SchedulerState) -> Option<Description> {
        let mut found = self.machine.describe();
        if let Some(gpu) = &self.gpu {
            found.gpus = gpu.latest().known();
        }
        let is_misplaced =
            |slot: &Slot| slot.difference.is_some() || !slot.workload.strays().is_empty();
        let is_any_misplaced = state.slots.values().any(is_misplaced);
        (is_any_misplaced || found != *state.description).then_some(found)
    }
}
