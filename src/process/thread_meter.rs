//! The times of one process's threads, from sample to sample.

use std::collections::HashMap;

use super::placement::ThreadMask;
use crate::machine::{CoreId, CpuSet, ProcessFiles, ThreadFile, open_file_limit};

/// The part of the limit of open files that may be used for threads.
const PART_FOR_THREADS: u64 = 4;

/// The number of further files that may stay open. A file that stays open is read in a quarter of the time.
pub(super) struct OpenFiles(u64);

impl OpenFiles {
    /// A part of the number that the system allows.
    pub(super) fn new() -> Self {
        Self(open_file_limit().unwrap_or(u64::MAX) / PART_FOR_THREADS)
    }

    fn take(&mut self) -> bool {
        let is_free = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        is_free
    }

    fn give_back(&mut self) {
        self.0 = self.0.saturating_add(1);
    }
}

/// The threads of one process.
#[derive(Default)]
pub(super) struct ThreadMeters(HashMap<i32, ThreadMeter>);

struct ThreadMeter {
    file: Option<ThreadFile>,
    cpu_ns: u64,
    wait_ns: u64,
    last_core: Option<CoreId>,
}

/// The threads of a process, as read.
pub(super) struct ThreadInputs<'a> {
    pub(super) files: &'a ProcessFiles,
    pub(super) pid: i32,
    pub(super) threads: &'a [ThreadMask],
}

/// The use of one thread between two samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ThreadUsed {
    pub(super) tid: i32,
    pub(super) mask: CpuSet,
    pub(super) last_core: Option<CoreId>,
    pub(super) cpu_ns: u64,
    pub(super) wait_ns: u64,
}

/// The treatment of the times of a thread that is new to its meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewThreads {
    /// It has started since the last sample.
    Count,
    /// It was there before.
    Ignore,
}

impl ThreadMeters {
    /// Takes a sample. Threads that end meanwhile are left out.
    pub(super) fn sample(
        &mut self,
        inputs: &ThreadInputs<'_>,
        new: NewThreads,
        open: &mut OpenFiles,
    ) -> Vec<ThreadUsed> {
        let mut before = std::mem::take(&mut self.0);
        let mut all = Vec::with_capacity(inputs.threads.len());
        for thread in inputs.threads {
            let tid = thread.tid;
            let known = before.remove(&tid);
            // A file of a thread that has ended cannot be read, also if another one has its number.
            let is_known = known.is_some();
            let mut meter =
                known.unwrap_or(ThreadMeter { file: None, cpu_ns: 0, wait_ns: 0, last_core: None });
            let Some([cpu_ns, wait_ns]) = read(&mut meter, inputs, tid, open) else {
                meter.close(open);
                continue;
            };
            let counts = is_known || new == NewThreads::Count;
            let since = |now: u64, before: u64| if counts { now.saturating_sub(before) } else { 0 };
            let (cpu, wait) = (since(cpu_ns, meter.cpu_ns), since(wait_ns, meter.wait_ns));
            if cpu_ns != meter.cpu_ns || meter.last_core.is_none() {
                let stat = inputs.files.thread_stat(inputs.pid, tid);
                meter.last_core = stat.and_then(|stat| stat.last_core).or(meter.last_core);
            }
            (meter.cpu_ns, meter.wait_ns) = (cpu_ns, wait_ns);
            all.push(ThreadUsed {
                tid,
                mask: thread.mask,
                last_core: meter.last_core,
                cpu_ns: cpu,
                wait_ns: wait,
            });
            self.0.insert(tid, meter);
        }
        for meter in before.into_values() {
            meter.close(open);
        }
        all
    }

    /// Closes all files.
    pub(super) fn close(self, open: &mut OpenFiles) {
        for meter in self.0.into_values() {
            meter.close(open);
        }
    }
}

impl ThreadMeter {
    fn close(self, open: &mut OpenFiles) {
        if self.file.is_some() {
            open.give_back();
        }
    }
}

fn read(
    meter: &mut ThreadMeter,
    inputs: &ThreadInputs<'_>,
    tid: i32,
    open: &mut OpenFiles,
) -> Option<[u64; 2]> {
    if let Some(file) = &meter.file {
        return file.schedstat();
    }
    let file = inputs.files.thread_schedstat(inputs.pid, tid)?;
    let times = file.schedstat();
    if open.take() {
        meter.file = Some(file);
    }
    times
}
