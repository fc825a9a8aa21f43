//! Which OS threads work for a model, where they may run, and how they stand beside others there:
//! set from outside, read back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::machine::{AffinityError, CpuSet, Machine, ThreadId, current_thread};

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
    /// The nice value that the program was started with: others count from there.
    base: i32,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    mask: CpuSet,
    nice: i32,
    members: Vec<Member>,
}

impl Threads {
    /// No threads yet; those that join will be allowed on `mask`.
    pub fn new(machine: Arc<dyn Machine>, mask: CpuSet) -> Self {
        let base = machine.nice(current_thread()).unwrap_or(0);
        Self { machine, base, inner: Mutex::new(Inner { mask, ..Inner::default() }) }
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
            differences.extend(self.stand(member.id, inner.nice).err());
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

    /// Gives all threads a nice value, counted from the program's own, and reads each one back; those
    /// that join later get it too.
    ///
    /// # Errors
    /// A sentence for each thread that the kernel shows at another one: without privilege a thread
    /// may sink but not rise, and only a new thread can stand higher.
    pub fn weigh(&self, nice: i32) -> Result<(), Vec<String>> {
        let mut inner = self.lock();
        inner.nice = nice;
        let stands = |member: &Member| self.stand(member.id, nice).err();
        let refused: Vec<String> = inner.members.iter().filter_map(stands).collect();
        if refused.is_empty() { Ok(()) } else { Err(refused) }
    }

    /// The nice value that they are to have.
    pub fn nice(&self) -> i32 {
        self.lock().nice
    }

    /// Gives one thread its nice value and reads it back.
    fn stand(&self, thread: ThreadId, nice: i32) -> Result<(), String> {
        let nice = (self.base + nice).min(19);
        let machine = &*self.machine;
        let actual = match machine.nice(thread) {
            Ok(held) if held == nice => return Ok(()),
            // There is no such call at all, and nothing to ask for.
            Err(AffinityError::Unsupported) if nice == self.base => return Ok(()),
            Ok(_) => machine.set_nice(thread, nice).and_then(|()| machine.nice(thread)),
            Err(error) => Err(error),
        };
        match actual {
            Ok(actual) if actual == nice => Ok(()),
            Ok(actual) => Err(format!("thread {thread} is at nice {actual}, not at {nice}")),
            // It ended between two looks at it.
            Err(AffinityError::NoSuchThread(_)) => Ok(()),
            Err(AffinityError::Unsupported) => {
                Err("this operating system has no weights for threads".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
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
