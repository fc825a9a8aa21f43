//! Tracks a model's threads; sets and verifies their affinity and nice value.

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
pub(super) struct Threads {
    machine: Arc<dyn Machine>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    mask: CpuSet,
    nice: i32,
    members: Vec<Member>,
    /// Threads that the kernel has shown on the mask since it was set.
    placed: Vec<ThreadId>,
    /// Threads that the kernel has shown at the nice value since it was set.
    niced: Vec<ThreadId>,
}

impl Threads {
    /// No threads yet; those that join will be allowed on `mask`.
    pub(super) fn new(machine: Arc<dyn Machine>, mask: CpuSet) -> Self {
        Self { machine, inner: Mutex::new(Inner { mask, ..Inner::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an instance's threads and places them. Where another mask or nice value is set meanwhile,
    /// they get that one before this returns: so a thread that has joined is where it should be.
    pub(super) fn join(&self, members: &[Member]) -> Vec<String> {
        let (mut wanted, added) = {
            let mut inner = self.lock();
            let is_new = |member: &&Member| inner.members.iter().all(|known| known.id != member.id);
            let added: Vec<Member> = members.iter().filter(is_new).copied().collect();
            inner.members.extend(&added);
            ((inner.mask, inner.nice), added)
        };
        loop {
            // Not under the lock: a thread that moves itself waits for its turn on the new core, and
            // everybody who changes something would wait with it.
            let (mask, nice) = wanted;
            let mut differences = Vec::new();
            let (mut placed, mut niced) = (Vec::new(), Vec::new());
            for member in &added {
                match place(&*self.machine, member.id, &mask) {
                    Some(difference) => differences.push(difference),
                    None => placed.push(member.id),
                }
                match self.set_nice(member.id, nice) {
                    Err(difference) => differences.push(difference),
                    Ok(()) => niced.push(member.id),
                }
            }
            let mut inner = self.lock();
            if (inner.mask, inner.nice) == wanted {
                inner.placed.extend(placed);
                inner.niced.extend(niced);
                return differences;
            }
            wanted = (inner.mask, inner.nice);
        }
    }

    /// Forgets an instance's threads; they have ended or are about to.
    pub(super) fn leave(&self, instance: usize) {
        let mut inner = self.lock();
        let Inner { members, placed, niced, .. } = &mut *inner;
        members.retain(|member| member.instance != instance);
        for ids in [placed, niced] {
            ids.retain(|id| members.iter().any(|member| member.id == *id));
        }
    }

    /// Allows all threads on `mask` and reads each one back. Returns a sentence for each thread
    /// that the kernel shows elsewhere; empty when the mask is in force.
    pub(super) fn pin(&self, mask: CpuSet) -> Vec<String> {
        let members = self.set(|inner| {
            inner.mask = mask;
            inner.placed.clear();
        });
        let (mut differences, mut placed) = (Vec::new(), Vec::with_capacity(members.len()));
        for member in &members {
            match place(&*self.machine, member.id, &mask) {
                Some(difference) => differences.push(difference),
                None => placed.push(member.id),
            }
        }
        let mut inner = self.lock();
        if inner.mask == mask {
            inner.placed.extend(placed);
        }
        differences
    }

    /// Returns a message for each thread whose mask or nice value was changed from outside.
    pub(super) fn strays(&self) -> Vec<String> {
        let mut strays = self.moved_threads();
        strays.extend(self.reniced_threads());
        strays
    }

    /// Returns a message for each thread whose nice value was changed from outside.
    fn reniced_threads(&self) -> Vec<String> {
        let (nice, niced) = {
            let inner = self.lock();
            (inner.nice, inner.niced.clone())
        };
        let reniced = |id: &ThreadId| {
            let actual = self.machine.nice(*id).ok().filter(|actual| *actual != nice)?;
            // Not if this program is changing it at this moment.
            let inner = self.lock();
            (inner.nice == nice && inner.niced.contains(id)).then(|| {
                format!(
                    "thread {id} was given another nice value from outside: it has {actual}, not \
                     {nice}"
                )
            })
        };
        niced.iter().filter_map(reniced).collect()
    }

    /// Returns a message for each thread that was moved off the mask from outside, or by a cpuset.
    fn moved_threads(&self) -> Vec<String> {
        let (mask, placed) = {
            let inner = self.lock();
            (inner.mask, inner.placed.clone())
        };
        let stray = |id: &ThreadId| {
            let actual = self.machine.affinity(*id).ok().filter(|actual| *actual != mask)?;
            // Not one that we move ourselves at this moment.
            let inner = self.lock();
            (inner.mask == mask && inner.placed.contains(id)).then(|| {
                format!(
                    "thread {id} was moved from outside: it is allowed on {actual}, not on {mask}"
                )
            })
        };
        placed.iter().filter_map(stray).collect()
    }

    /// Sets what threads are to have from now on; those that are there already.
    fn set(&self, what: impl FnOnce(&mut Inner)) -> Vec<Member> {
        let mut inner = self.lock();
        what(&mut inner);
        inner.members.clone()
    }

    /// Gives all threads a nice value, counted from the program's own, and reads each one back; those
    /// that join later get it too.
    ///
    /// # Errors
    /// One message per thread whose nice value is still another one: without privilege a nice value
    /// can increase but not decrease, and only a new thread starts at the lower one.
    pub(super) fn set_nice_values(&self, nice: i32) -> Result<(), Vec<String>> {
        let members = self.set(|inner| {
            inner.nice = nice;
            inner.niced.clear();
        });
        let (mut refused, mut niced) = (Vec::new(), Vec::with_capacity(members.len()));
        for member in &members {
            match self.set_nice(member.id, nice) {
                Err(difference) => refused.push(difference),
                Ok(()) => niced.push(member.id),
            }
        }
        let mut inner = self.lock();
        if inner.nice == nice {
            inner.niced.extend(niced);
        }
        drop(inner);
        if refused.is_empty() { Ok(()) } else { Err(refused) }
    }

    /// The nice value that they are to have.
    pub(super) fn nice(&self) -> i32 {
        self.lock().nice
    }

    /// Gives one thread its nice value; a sentence where the kernel shows another one.
    fn set_nice(&self, thread: ThreadId, nice: i32) -> Result<(), String> {
        match self.machine.set_nice(thread, nice) {
            // It ended between two looks at it.
            Ok(()) | Err(AffinityError::NoSuchThread(_)) => Ok(()),
            // There is no such call at all, and nothing to ask for.
            Err(AffinityError::Unsupported) if nice == 0 => Ok(()),
            Err(AffinityError::Unsupported) => {
                Err("this operating system has no weights for threads".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The threads.
    pub(super) fn members(&self) -> Vec<Member> {
        self.lock().members.clone()
    }

    /// The mask that they are to have.
    pub(super) fn mask(&self) -> CpuSet {
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
