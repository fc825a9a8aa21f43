//! Workloads: what the rows divide the machine among.
//!
//! The trait is what the scheduler needs to place a workload, to observe it and to end it. A pool is its
//! first implementation, and the processes of a row are the other (`process_workload.rs`). What only a
//! model has (a file to load, instances to build, a bound and a queue for its requests) is not in the
//! trait: a model's slot has its pool for that, and the slot of processes has none.

use std::time::{Duration, Instant};

use crate::machine::CpuSet;
use crate::pool::{Member, Pool};
use crate::process::ProcessSample;
use crate::telemetry::{Recorder, RequestCounts, UseRecord};

/// The interface to what runs for a row.
///
/// No call waits for the workload's own threads, except [`Workload::drain`]: they may have no core.
pub(super) trait Workload: Send + Sync {
    /// Returns the threads that work for it, for the observer's CPU sampler; none for processes, which
    /// sample themselves ([`Workload::processes`]).
    fn threads(&self) -> Vec<Member>;

    /// Removes threads that have ended by themselves, whose numbers may belong to others now. Reads a file
    /// per thread: for the observer, not for a change.
    fn forget_ended_threads(&self);

    /// Returns the desired CPU mask of its threads.
    fn mask(&self) -> CpuSet;

    /// Sets and verifies the mask of every thread; threads that start later get it too. Returns one
    /// message per thread whose mask differs.
    fn pin(&self, mask: CpuSet) -> Vec<String>;

    /// Returns the desired nice value of its threads, relative to the program's own.
    fn nice(&self) -> i32;

    /// Sets and verifies the nice value of every thread.
    ///
    /// # Errors
    /// One message per thread that has another one.
    fn set_nice(&self, nice: i32) -> Result<(), Vec<String>>;

    /// Returns the desired mask of the threads that prepare it and serve nothing, as the builds of a model;
    /// `None` if it has no such threads, as a process.
    fn builder_cores(&self) -> Option<CpuSet> {
        None
    }

    /// Sets and verifies the mask of the threads that prepare it. Returns one message per thread whose
    /// mask differs.
    fn pin_builders(&self, _: CpuSet) -> Vec<String> {
        Vec::new()
    }

    /// Returns one message per thread whose mask or nice value another program has changed.
    fn strays(&self) -> Vec<String>;

    /// Returns the number of its requests per state; zeros for a process that reports none.
    fn counts(&self) -> RequestCounts;

    /// Returns the record of its latencies; `None` for a process that reports none: it has no latency
    /// windows and no verdicts. The housekeeper closes its cells.
    fn recorder(&self) -> Option<&Recorder>;

    /// Returns the record of its use of the CPUs, from which the verdicts on processes follow; `None` for a
    /// model.
    fn use_record(&self) -> Option<&UseRecord> {
        None
    }

    /// Answers requests whose time in its queue has run out.
    fn expire(&self, _: Instant) {}

    /// Returns the longest wait of a request in its queue; `None` for no limit or no queue.
    fn queue_timeout(&self) -> Option<Duration> {
        None
    }

    /// Returns the newest sample of its processes; `None` for a model.
    fn processes(&self) -> Option<ProcessSample> {
        None
    }

    /// Returns why no change can be enforced on it, if none can.
    fn read_only(&self) -> Option<String> {
        None
    }

    /// Returns why no weight can be enforced on it, if none can.
    fn weight_refusal(&self) -> Option<String> {
        None
    }

    /// Sets its memory budget in bytes.
    fn set_memory(&self, limit: Option<u64>);

    /// Returns why it is over its memory budget, if it is.
    fn memory_excess(&self) -> Option<String>;

    /// Starts to free memory if it is over its budget and idle. A process has nothing to free.
    fn shrink(&self);

    /// Ends it: answers waiting requests for at most `patience`. Returns true if all its threads have
    /// ended. A process that divvy did not start keeps running; its end is the restoring of the placement
    /// that divvy found.
    fn drain(&self, patience: Duration) -> bool;

    /// Ends it at the end of the program: as [`Workload::drain`], but does not wait for what has served no
    /// request yet. Returns true if all its threads have ended.
    fn shut_down(&self, patience: Duration) -> bool {
        self.drain(patience)
    }

    /// Returns true if it has ended.
    fn has_ended(&self) -> bool;
}

impl Workload for Pool {
    fn threads(&self) -> Vec<Member> {
        self.members()
    }

    fn forget_ended_threads(&self) {
        self.forget_ended_threads();
    }

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

    fn builder_cores(&self) -> Option<CpuSet> {
        Some(self.builder_cores())
    }

    fn pin_builders(&self, cores: CpuSet) -> Vec<String> {
        self.pin_builders(cores)
    }

    fn strays(&self) -> Vec<String> {
        self.strays()
    }

    fn counts(&self) -> RequestCounts {
        self.counts()
    }

    fn recorder(&self) -> Option<&Recorder> {
        Some(self.recorder())
    }

    fn expire(&self, now: Instant) {
        self.expire(now);
    }

    fn queue_timeout(&self) -> Option<Duration> {
        self.queue_timeout()
    }

    fn set_memory(&self, limit: Option<u64>) {
        self.set_memory(limit);
    }

    fn memory_excess(&self) -> Option<String> {
        self.memory().over
    }

    fn shrink(&self) {
        self.shrink();
    }

    fn drain(&self, patience: Duration) -> bool {
        self.drain(patience)
    }

    fn shut_down(&self, patience: Duration) -> bool {
        self.shut_down(patience)
    }

    fn has_ended(&self) -> bool {
        self.has_ended()
    }
}
