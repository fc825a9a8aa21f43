//! The machine of the bench: times the kernel's calls that place threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::machine::{
    AffinityError, CoreTimes, CpuSet, Description, Machine, MemoryUse, ThreadId, ThreadTimes,
};

/// The name of the scheduler's thread, whose calls are timed.
const OWNER_THREAD: &str = "divvy-sched";

/// A machine that times the calls of the scheduler's thread.
pub(super) struct TimedMachine {
    machine: Arc<dyn Machine>,
    set_ns: AtomicU64,
    set_longest_ns: AtomicU64,
    set_calls: AtomicU64,
    read_ns: AtomicU64,
}

/// Calls that place threads, since the last reset.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PlacementCalls {
    /// Calls that set a mask or a nice value.
    pub(super) calls: u64,
    /// Time in those calls.
    pub(super) set_us: f64,
    /// Time in the longest of them.
    pub(super) longest_us: f64,
    /// Time in calls that read a mask or a nice value back.
    pub(super) read_us: f64,
}

impl TimedMachine {
    /// Times the calls to a machine.
    pub(super) fn new(machine: Arc<dyn Machine>) -> Self {
        Self {
            machine,
            set_ns: AtomicU64::new(0),
            set_longest_ns: AtomicU64::new(0),
            set_calls: AtomicU64::new(0),
            read_ns: AtomicU64::new(0),
        }
    }

    /// Returns the calls since the last call of this function.
    pub(super) fn take(&self) -> PlacementCalls {
        let take = |count: &AtomicU64| count.swap(0, Ordering::AcqRel);
        PlacementCalls {
            calls: take(&self.set_calls),
            set_us: take(&self.set_ns) as f64 / 1e3,
            longest_us: take(&self.set_longest_ns) as f64 / 1e3,
            read_us: take(&self.read_ns) as f64 / 1e3,
        }
    }

    /// Runs a call; returns its duration if the scheduler's thread made it.
    fn time<T>(call: impl FnOnce() -> T) -> (T, Option<u64>) {
        if std::thread::current().name() != Some(OWNER_THREAD) {
            return (call(), None);
        }
        let start = Instant::now();
        let result = call();
        (result, Some(start.elapsed().as_nanos() as u64))
    }

    fn set<T>(&self, call: impl FnOnce() -> T) -> T {
        let (result, took) = Self::time(call);
        if let Some(ns) = took {
            self.set_ns.fetch_add(ns, Ordering::AcqRel);
            self.set_longest_ns.fetch_max(ns, Ordering::AcqRel);
            self.set_calls.fetch_add(1, Ordering::AcqRel);
        }
        result
    }

    fn read<T>(&self, call: impl FnOnce() -> T) -> T {
        let (result, took) = Self::time(call);
        self.read_ns.fetch_add(took.unwrap_or(0), Ordering::AcqRel);
        result
    }
}

impl Machine for TimedMachine {
    fn describe(&self) -> Description {
        self.machine.describe()
    }

    fn set_affinity(&self, thread: ThreadId, cores: &CpuSet) -> Result<(), AffinityError> {
        self.set(|| self.machine.set_affinity(thread, cores))
    }

    fn affinity(&self, thread: ThreadId) -> Result<CpuSet, AffinityError> {
        self.read(|| self.machine.affinity(thread))
    }

    fn set_nice(&self, thread: ThreadId, nice: i32) -> Result<(), AffinityError> {
        self.set(|| self.machine.set_nice(thread, nice))
    }

    fn nice(&self, thread: ThreadId) -> Result<i32, AffinityError> {
        self.read(|| self.machine.nice(thread))
    }

    fn thread_times(&self, thread: ThreadId) -> Option<ThreadTimes> {
        self.machine.thread_times(thread)
    }

    fn has_ended(&self, thread: ThreadId) -> bool {
        self.machine.has_ended(thread)
    }

    fn core_times(&self) -> Vec<CoreTimes> {
        self.machine.core_times()
    }

    fn memory(&self) -> MemoryUse {
        self.machine.memory()
    }
}
