//! The use of CPUs and memory by one row's processes, from sample to sample.
//!
//! CPU time of a row with a budget of cores is that of its threads (`schedstat`, in nanoseconds), so that it
//! is known by core. That of other rows is that of its processes (`stat`, in clock ticks). Both count
//! children that have ended, from the times that the kernel adds to their parents.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::catalog::ProcessCatalog;
use super::read_process::ReadProcess;
use super::scan::Scan;
use super::target::CoreBudget;
use super::thread_meter::{NewThreads, OpenFiles, ThreadInputs, ThreadMeters, ThreadUsed};
use crate::machine::{ProcessFiles, ProcessId, ProcessStat};

/// The use of CPUs by one row's processes.
#[derive(Default)]
pub(super) struct RowMeter {
    processes: HashMap<ProcessId, ProcessMeter>,
    last: Option<Instant>,
    total_ns: u64,
}

struct ProcessMeter {
    parent: i32,
    own_ns: u64,
    children_ns: u64,
    /// `None` while the row has no budget of cores.
    threads: Option<ThreadMeters>,
}

/// The inputs of a sample.
pub(super) struct MeterInputs<'a> {
    pub(super) scan: &'a Scan,
    pub(super) processes: &'a [ReadProcess],
    pub(super) budget: CoreBudget,
    pub(super) now: Instant,
}

/// The use of one process between two samples.
pub(super) struct ProcessUsed<'a> {
    pub(super) read: &'a ReadProcess,
    pub(super) stat: &'a ProcessStat,
    pub(super) cpu_ns: u64,
    /// Its threads; empty without a budget of cores.
    pub(super) threads: Vec<ThreadUsed>,
}

/// A sample.
pub(super) struct Measured<'a> {
    pub(super) processes: Vec<ProcessUsed<'a>>,
    /// Time since the last sample; zero for the first one.
    pub(super) interval: Duration,
    /// CPU time since the row has its first process.
    pub(super) total_ns: u64,
}

impl RowMeter {
    /// Takes a sample.
    pub(super) fn sample<'a>(
        &mut self,
        inputs: &MeterInputs<'a>,
        catalog: &ProcessCatalog,
        open: &mut OpenFiles,
    ) -> Measured<'a> {
        let mut ended = self.remove_ended(inputs.processes, open);
        let before: HashSet<i32> = self.processes.keys().map(|id| id.pid).collect();
        let tick_ns = ProcessFiles::tick_ns();
        let mut processes = Vec::with_capacity(inputs.processes.len());
        for read in inputs.processes {
            let Some(stat) = inputs.scan.get(read.id) else { continue };
            let own_ns = stat.cpu_ticks * tick_ns;
            let children_ns = stat.children_ticks * tick_ns;
            let is_new = !self.processes.contains_key(&read.id);
            // Only what a process has used since it joined counts; all of it for a child.
            let counts = !is_new || (self.last.is_some() && before.contains(&stat.parent));
            let meter = self.processes.entry(read.id).or_insert(ProcessMeter {
                parent: stat.parent,
                own_ns: if counts { 0 } else { own_ns },
                children_ns: if counts { 0 } else { children_ns },
                threads: None,
            });
            let own = own_ns.saturating_sub(meter.own_ns);
            // Children that were measured themselves count only beyond that.
            let known = ended.remove(&read.id.pid).unwrap_or(0);
            let children = children_ns.saturating_sub(meter.children_ns).saturating_sub(known);
            (meter.own_ns, meter.children_ns) = (own_ns, children_ns);
            let files = catalog.files();
            let threads = match inputs.budget {
                CoreBudget::Own => {
                    let new = if is_new && counts || meter.threads.is_some() {
                        NewThreads::Count
                    } else {
                        NewThreads::Ignore
                    };
                    let inputs = ThreadInputs { files, pid: read.id.pid, threads: &read.threads };
                    meter.threads.get_or_insert_default().sample(&inputs, new, open)
                }
                CoreBudget::None => {
                    meter.threads.take().unwrap_or_default().close(open);
                    Vec::new()
                }
            };
            let by_threads: u64 = threads.iter().map(|thread| thread.cpu_ns).sum();
            let own = match inputs.budget {
                // What is missing is the time of threads that have ended, beyond the precision of ticks.
                CoreBudget::Own => by_threads + own.saturating_sub(by_threads + 2 * tick_ns),
                CoreBudget::None => own,
            };
            processes.push(ProcessUsed { read, stat, cpu_ns: own + children, threads });
        }
        let interval = self.last.map(|last| inputs.now.saturating_duration_since(last));
        self.last = if processes.is_empty() { None } else { Some(inputs.now) };
        if interval.is_none() {
            for process in &mut processes {
                process.cpu_ns = 0;
            }
        }
        self.total_ns += processes.iter().map(|process| process.cpu_ns).sum::<u64>();
        Measured { processes, interval: interval.unwrap_or_default(), total_ns: self.total_ns }
    }

    /// Removes processes that have ended. Returns the times that were measured of them, by their parents.
    fn remove_ended(
        &mut self,
        processes: &[ReadProcess],
        open: &mut OpenFiles,
    ) -> HashMap<i32, u64> {
        let alive: HashSet<ProcessId> = processes.iter().map(|read| read.id).collect();
        let mut times = HashMap::new();
        for (_, meter) in self.processes.extract_if(|id, _| !alive.contains(id)) {
            *times.entry(meter.parent).or_default() += meter.own_ns + meter.children_ns;
            meter.threads.unwrap_or_default().close(open);
        }
        times
    }

    /// Closes all files.
    pub(super) fn close(mut self, open: &mut OpenFiles) {
        self.remove_ended(&[], open);
    }
}
