//! A machine on which the scheduler's thread can be held in the middle of a change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use divvy::machine::{
    AffinityError, CoreTimes, CpuSet, Description, Machine, MemoryUse, ThreadId, ThreadTimes,
};

/// Passes everything on to another machine.
pub(crate) struct HeldMachine {
    pub machine: Arc<dyn Machine>,
    /// True while the scheduler's thread must wait before it sets a mask.
    pub hold: AtomicBool,
    /// True once it waits.
    pub is_held: AtomicBool,
}

impl HeldMachine {
    pub(crate) fn new(machine: Arc<dyn Machine>) -> Arc<Self> {
        let (hold, is_held) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { machine, hold, is_held })
    }
}

impl Machine for HeldMachine {
    fn describe(&self) -> Description {
        self.machine.describe()
    }

    fn set_affinity(&self, thread: ThreadId, cores: &CpuSet) -> Result<(), AffinityError> {
        if std::thread::current().name() == Some("divvy-sched") {
            while self.hold.load(Ordering::SeqCst) {
                self.is_held.store(true, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.machine.set_affinity(thread, cores)
    }

    fn affinity(&self, thread: ThreadId) -> Result<CpuSet, AffinityError> {
        self.machine.affinity(thread)
    }

    fn set_nice(&self, thread: ThreadId, nice: i32) -> Result<(), AffinityError> {
        self.machine.set_nice(thread, nice)
    }

    fn nice(&self, thread: ThreadId) -> Result<i32, AffinityError> {
        self.machine.nice(thread)
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
