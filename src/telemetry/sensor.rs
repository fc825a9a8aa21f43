//! Samples the kernel's counters (CPU time and run-queue wait per thread, busy time per core) and
//! turns the difference between two samples into shares of the interval.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use crate::machine::{CoreId, CoreTimes, Machine, ThreadId, ThreadTimes};

/// A thread's use of the last interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ThreadUse {
    /// Share of the interval that it ran.
    pub cpu: f64,
    /// Share of the interval that it was runnable but waiting; `None` if the kernel hides it.
    pub wait: Option<f64>,
    /// The CPU on which it ran last.
    pub last_core: Option<CoreId>,
}

/// A core's use in the last interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoreUse {
    /// Share of the interval in which it was busy.
    pub busy: f64,
    /// Share that each group (model) used.
    pub by_group: BTreeMap<usize, f64>,
    /// Wait of the groups' threads that were last seen here; `None` if the kernel hides it.
    pub wait: Option<f64>,
}

/// The result of one sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Length of the interval in microseconds; 0 before the second sample.
    pub interval_us: u64,
    /// Use per thread.
    pub threads: HashMap<ThreadId, ThreadUse>,
    /// Use per core.
    pub cores: BTreeMap<CoreId, CoreUse>,
}

/// Samples the counters; holds the previous sample.
#[derive(Default)]
pub struct Sensor {
    last_at: Option<Instant>,
    threads: HashMap<ThreadId, ThreadTimes>,
    cores: BTreeMap<CoreId, CoreTimes>,
}

impl Sensor {
    /// Reads the counters of all threads, given by group, and of all cores.
    pub fn sample(
        &mut self,
        machine: &dyn Machine,
        groups: &[Vec<ThreadId>],
        now: Instant,
    ) -> Usage {
        let nanos =
            self.last_at.map_or(0.0, |last| now.saturating_duration_since(last).as_nanos() as f64);
        let mut usage = Usage { interval_us: (nanos / 1e3) as u64, ..Usage::default() };
        let mut seen = HashMap::with_capacity(self.threads.len());
        let share = |delta: u64| if nanos > 0.0 { delta as f64 / nanos } else { 0.0 };
        for (group, threads) in groups.iter().enumerate() {
            for thread in threads {
                let Some(times) = machine.thread_times(*thread) else { continue };
                seen.insert(*thread, times);
                // A new thread counts from here on: its counters contain the time in which it loaded
                // files and built instances, which may be far more than the interval.
                let before = self.threads.get(thread).copied().unwrap_or(times);
                let cpu = share(times.cpu_ns.saturating_sub(before.cpu_ns));
                let wait = times
                    .wait_ns
                    .map(|wait| share(wait.saturating_sub(before.wait_ns.unwrap_or(0))));
                if let Some(core) = times.last_core {
                    let entry = usage.cores.entry(core).or_default();
                    *entry.by_group.entry(group).or_default() += cpu;
                    entry.wait = match (entry.wait, wait) {
                        (sum, Some(wait)) => Some(sum.unwrap_or(0.0) + wait),
                        (sum, None) => sum,
                    };
                }
                let last_core = times.last_core;
                usage.threads.insert(*thread, ThreadUse { cpu, wait, last_core });
            }
        }
        let cores = machine.core_times();
        for times in &cores {
            let before = self.cores.get(&times.core);
            let busy = before.map_or(0, |before| times.busy_ns.saturating_sub(before.busy_ns));
            let idle = before.map_or(0, |before| times.idle_ns.saturating_sub(before.idle_ns));
            let entry = usage.cores.entry(times.core).or_default();
            // Relative to the core's own clock: the kernel counts in ticks, out of step with ours.
            let ticked = busy + idle;
            entry.busy = if ticked > 0 { busy as f64 / ticked as f64 } else { 0.0 };
        }
        self.threads = seen;
        self.cores = cores.into_iter().map(|times| (times.core, times)).collect();
        self.last_at = Some(now);
        usage
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::machine::SimulatedMachine;

    #[test]
    fn new_thread_counts_from_its_first_sample() {
        let machine = SimulatedMachine::uniform(1);
        let (mut sensor, start) = (Sensor::default(), Instant::now());
        let thread = ThreadId::of_tid(7);
        let ran = |ms: u64| ThreadTimes {
            cpu_ns: ms * 1_000_000,
            wait_ns: Some(ms * 1_000_000),
            last_core: Some(CoreId(0)),
        };
        let cpu = |usage: &Usage| {
            let used = usage.threads[&thread];
            (used.cpu, used.wait, usage.cores[&CoreId(0)].by_group[&0])
        };
        sensor.sample(&machine, &[Vec::new()], start);
        // 3 s of building before it joined, in parallel with others
        machine.set_thread_times(thread, ran(3000));
        let second = Duration::from_secs(1);
        let usage = sensor.sample(&machine, &[vec![thread]], start + second);
        assert_eq!(cpu(&usage), (0.0, Some(0.0), 0.0));
        machine.set_thread_times(thread, ran(3500));
        let usage = sensor.sample(&machine, &[vec![thread]], start + 2 * second);
        assert_eq!(cpu(&usage), (0.5, Some(0.5), 0.5));
    }
}
