//! A machine on which the scheduler's thread can be held in the middle of a change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use divvy::machine::{
    AffinityError, CoreTimes, CpuSet, Description, Machine, MemoryUse, ThreadId, ThreadTimes,
};
use divvy::scheduler::Options;

/// Passes everything on to another machine.
pub(crate) struct HeldMachine {
    machine: Arc<dyn Machine>,
    hold: AtomicBool,
    is_held: AtomicBool,
}

impl HeldMachine {
    /// Puts a machine like this before the one of the options.
    pub(crate) fn install(options: &mut Options) -> Arc<Self> {
        let (hold, is_held) = (AtomicBool::new(false), AtomicBool::new(false));
        let held = Arc::new(Self { machine: options.machine.clone(), hold, is_held });
        options.machine = held.clone();
        held
    }

    /// Makes the scheduler's thread wait before it sets its next mask, until the guard is dropped.
    pub(crate) fn hold(&self) -> Hold<'_> {
        self.hold.store(true, Ordering::SeqCst);
        Hold(self)
    }

    /// Returns true once the scheduler's thread waits.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held.load(Ordering::SeqCst)
    }
}

/// Lets the scheduler's thread go on when it is dropped, also by a failed test.
pub(crate) struct Hold<'a>(&'a HeldMachine);

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.hold.store(false, Ordering::SeqCst);
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
