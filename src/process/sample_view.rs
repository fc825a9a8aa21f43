//! The sample of a row's processes, from what was measured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::catalog::ProcessCatalog;
use super::measure::{Measured, ProcessUsed};
use super::row::ProcessRow;
use super::sample::ProcessSample;
use super::target::CoreBudget;
use super::thread_meter::ThreadUsed;
use crate::machine::{CoreId, CpuSet, ProcessFiles, ProcessStat, ThreadId};
use crate::telemetry::{CoreTime, ProcessEntry, ProcessState, ProcessUse, ProcessView, ThreadView};

/// The inputs of a row's sample.
pub(super) struct SampleInputs<'a> {
    pub(super) row: &'a ProcessRow,
    pub(super) measured: Measured<'a>,
    pub(super) budget: CoreBudget,
    pub(super) state: ProcessState,
    /// When the machine started.
    pub(super) boot: Option<SystemTime>,
}

impl SampleInputs<'_> {
    /// Returns the sample.
    pub(super) fn sample(mut self, catalog: &mut ProcessCatalog) -> ProcessSample {
        self.measured.processes.sort_by_key(|process| std::cmp::Reverse(process.cpu_ns));
        let used = self.used();
        let view = self.view(&used, catalog);
        ProcessSample { view: Arc::new(view), used: Arc::new(used) }
    }

    /// Returns a time as a share of the interval.
    fn share(&self, ns: u64) -> f64 {
        let interval = self.measured.interval.as_nanos() as f64;
        if interval > 0.0 { ns as f64 / interval } else { 0.0 }
    }

    fn used(&self) -> ProcessUse {
        let processes = &self.measured.processes;
        let all = || processes.iter().flat_map(|process| &process.threads);
        let cpu: u64 = processes.iter().map(|process| process.cpu_ns).sum();
        let wait: u64 = all().map(|thread| thread.wait_ns).sum();
        let masks = processes.iter().flat_map(|process| &process.read.threads);
        ProcessUse {
            cpu: self.share(cpu),
            cpu_total_us: self.measured.total_ns / 1000,
            wait: (self.budget == CoreBudget::Own).then(|| self.share(wait)),
            cores: masks.fold(CpuSet::EMPTY, |all, thread| all.union(&thread.mask)),
            threads: self.busiest_threads(),
            by_core: self.by_core(),
        }
    }

    fn by_core(&self) -> BTreeMap<CoreId, CoreTime> {
        let mut by_core: BTreeMap<CoreId, CoreTime> = BTreeMap::new();
        let mut add = |core: Option<CoreId>, time: CoreTime| {
            if let Some(core) = core {
                let entry = by_core.entry(core).or_default();
                entry.cpu += time.cpu;
                entry.wait += time.wait;
            }
        };
        for process in &self.measured.processes {
            for thread in &process.threads {
                let (cpu, wait) = (self.share(thread.cpu_ns), self.share(thread.wait_ns));
                add(thread.last_core, CoreTime { cpu, wait });
            }
            // Where the threads are not measured, only a single one is known to have used the time.
            if process.threads.is_empty() && process.stat.threads == 1 {
                let cpu = self.share(process.cpu_ns);
                add(process.stat.last_core, CoreTime { cpu, wait: 0.0 });
            }
        }
        by_core
    }

    fn busiest_threads(&self) -> Vec<ThreadView> {
        let mut all: Vec<(usize, &ProcessUsed<'_>, &ThreadUsed)> = Vec::new();
        for (at, process) in self.measured.processes.iter().enumerate() {
            all.extend(process.threads.iter().map(|thread| (at, process, thread)));
        }
        all.sort_by_key(|(.., thread)| std::cmp::Reverse(thread.cpu_ns + thread.wait_ns));
        all.truncate(ProcessUse::MOST_THREADS);
        let view =
            |(instance, process, thread): (usize, &ProcessUsed<'_>, &ThreadUsed)| ThreadView {
                id: ThreadId::of_tid(thread.tid),
                instance,
                helper: thread.tid != process.read.id.pid,
                allowed: thread.mask,
                nice: process.read.process.nice(thread.tid).ok(),
                last_core: thread.last_core,
                cpu: self.share(thread.cpu_ns),
                wait: Some(self.share(thread.wait_ns)),
            };
        all.into_iter().map(view).collect()
    }

    fn view(&self, used: &ProcessUse, catalog: &mut ProcessCatalog) -> ProcessView {
        let processes = &self.measured.processes;
        let listed = processes.iter().take(ProcessView::MOST_LISTED);
        let oldest =
            processes.iter().map(|process| process.read.id).min_by_key(|id| id.start_ticks);
        let started = oldest.zip(self.boot);
        ProcessView {
            selector: self.row.source().description(),
            state: self.state.clone(),
            process_count: processes.len(),
            thread_count: processes.iter().map(|process| process.read.threads.len()).sum(),
            processes: listed
                .map(|process| entry(process.stat, self.share(process.cpu_ns), catalog))
                .collect(),
            read_only: self.row.read_only(),
            cores_by: self.means(catalog),
            weight_by: self.row.weight_means(),
            weight_refused: self.row.weight_refusal(),
            memory_by: self.row.memory_means(),
            rss_bytes: processes.iter().map(|process| resident(process.stat)).sum(),
            pss_bytes: self.row.proportional_memory(),
            started_unix_ms: started.and_then(|(id, boot)| ProcessFiles::started_unix_ms(boot, id)),
            runnable: used.cpu + used.wait.unwrap_or(0.0),
            ..ProcessView::default()
        }
    }

    /// Returns the means that enforce the row's cores.
    fn means(&self, catalog: &ProcessCatalog) -> String {
        let processes = &self.measured.processes;
        if processes.is_empty() || self.row.read_only().is_some() {
            return String::new();
        }
        let files = catalog.files();
        let listed = processes.iter().take(ProcessView::MOST_LISTED);
        let inner = listed.filter(|it| files.is_in_inner_namespace(it.read.id.pid)).count();
        match inner {
            0 => "affinity of each thread".to_owned(),
            count => {
                format!("affinity of each thread; {count} processes have their own PID namespace")
            }
        }
    }
}

/// Returns the entry of a process in a list.
pub(super) fn entry(process: &ProcessStat, cpu: f64, catalog: &mut ProcessCatalog) -> ProcessEntry {
    ProcessEntry {
        pid: process.id.pid,
        parent: process.parent,
        command: catalog.command(process),
        user: catalog.user_name(process),
        threads: process.threads,
        cpu,
        rss_bytes: resident(process),
    }
}

/// Returns the resident memory of a process in bytes.
pub(super) fn resident(process: &ProcessStat) -> u64 {
    process.resident_pages * ProcessFiles::page_bytes()
}
