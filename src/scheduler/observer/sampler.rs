//! CPU usage: of the cores, of each row's threads, and of this process.

use std::time::Instant;

use crate::machine::{Machine, ThreadId, process_cpu_ns};
use crate::scheduler::messages::SchedulerState;
use crate::telemetry::{ProcessUse, Sensor, Usage};

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
        for (index, row) in state.desired.rows.iter().enumerate() {
            let slot = state.slots.get(&row.budget.name);
            if let Some(sample) = slot.and_then(|slot| slot.workload.processes()) {
                add_processes(&mut self.usage, index, &sample.used);
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

/// Adds the use of a row's processes to that of the cores. Their interval is another one; shares are
/// comparable all the same.
fn add_processes(usage: &mut Usage, row: usize, used: &ProcessUse) {
    for (core, time) in &used.by_core {
        let entry = usage.cores.entry(*core).or_default();
        *entry.by_group.entry(row).or_default() += time.cpu;
        entry.wait = Some(entry.wait.unwrap_or(0.0) + time.wait);
    }
}
