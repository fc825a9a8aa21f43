//! CPU usage: of the cores, of each model's threads, and of the process.

use std::time::Instant;

use crate::machine::{Machine, ThreadId, process_cpu_ns};
use crate::scheduler::messages::SchedulerState;
use crate::telemetry::{Sensor, Usage};

/// Samples CPU usage.
#[derive(Default)]
pub(super) struct CpuSampler {
    sensor: Sensor,
    /// The usage between the last two samples.
    pub(super) usage: Usage,
    /// CPU time of the process at the last sample.
    process_cpu_ns: u64,
    /// CPUs that the process used on average between the last two samples.
    pub(super) process_cpu: f64,
}

impl CpuSampler {
    /// Takes a sample.
    pub(super) fn sample(&mut self, state: &SchedulerState, machine: &dyn Machine, now: Instant) {
        let threads = |row: &crate::layout::Row| -> Vec<ThreadId> {
            let slot = state.slots.get(&row.budget.name);
            let members = slot.map(|slot| slot.workload.threads()).unwrap_or_default();
            members.iter().map(|member| member.id).collect()
        };
        let groups: Vec<Vec<ThreadId>> = state.desired.rows.iter().map(threads).collect();
        self.usage = self.sensor.sample(machine, &groups, now);
        for (row, threads) in state.desired.rows.iter().zip(&groups) {
            // Without times, a thread has ended, or has an id that another thread got.
            if threads.iter().any(|id| !self.usage.threads.contains_key(id))
                && let Some(slot) = state.slots.get(&row.budget.name)
            {
                slot.workload.forget_ended_threads();
            }
        }
        let process = process_cpu_ns();
        if self.usage.interval_us > 0 {
            let spent = process.saturating_sub(self.process_cpu_ns) as f64;
            self.process_cpu = spent / (self.usage.interval_us as f64 * 1e3);
        }
        self.process_cpu_ns = process;
    }
}
