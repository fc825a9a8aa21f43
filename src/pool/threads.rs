//! Which OS threads work for a model, and where they may run: set from outside, read back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::machine::{AffinityError, CpuSet, Machine, ThreadId};

/// One thread of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: ThreadId,
    /// The instance it works for.
    pub instance: usize,
    /// Whether it helps, or runs requests itself.
    pub helper: bool,
}

/// All threads of a model and the mask that they are to have.
pub struct Threads {
    machine: Arc<dyn Machine>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    mask: CpuSet,
    members: Vec<Member>,
}

impl Threads {
    /// No threads yet; those that join will be allowed on `mask`.
    pub fn new(machine: Arc<dyn Machine>, mask: CpuSet) -> Self {
        Self { machine, inner: Mutex::new(Inner { mask, members: Vec::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an instance's threads and places them. The mask cannot change in between.
    pub fn join(&self, members: &[Member]) -> Vec<String> {
        let mut inner = self.lock();
        let mut differences = Vec::new();
        for member in members {
            if inner.members.iter().any(|known| known.id == member.id) {
                continue;
            }
            inner.members.push(*member);
            differences.extend(place(&*self.machine, member.id, &inner.mask));
        }
        differences
    }

    /// Forgets an instance's threads; they have ended or are about to.
    pub fn leave(&self, instance: usize) {
        self.lock().members.retain(|member| member.instance != instance);
    }

    /// Allows all threads on `mask` and reads each one back. Returns a sentence for each thread
    /// that the kernel shows elsewhere; empty when the mask is in force.
    pub fn pin(&self, mask: CpuSet) -> Vec<String> {
        let mut inner = self.lock();
        inner.mask = mask;
        inner.members.iter().filter_map(|member| place(&*self.machine, member.id, &mask)).collect()
    }

    /// The threads.
    pub fn members(&self) -> Vec<Member> {
        self.lock().members.clone()
    }

    /// The mask that they are to have.
    pub fn mask(&self) -> CpuSet {
        self.lock().mask
    }
}

/// Places one thread and reads it back; a sentence where it is not as asked.
fn place(machine: &dyn Machine, thread: ThreadId, mask: &CpuSet) -> Option<String> {
    match machine.set_affinity(thread, mask).and_then(|()| machine.affinity(thread)) {
        Ok(actual) if actual == *mask => None,
        Ok(actual) => Some(format!("thread {thread} is allowed on {actual}, not on {mask}")),
        // It ended between two looks at it: nothing is where it should not be.
        Err(AffinityError::NoSuchThread(_)) => None,
        Err(error) => Some(error.to_string()),
    }
}
