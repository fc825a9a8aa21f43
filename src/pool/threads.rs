//! Tracks a model's threads; sets and verifies their affinity and nice value.
//!
//! An instance's threads leave before they end, so that the number of a member is its own
//! (`thread_calls.rs`). A thread that an engine ends by itself does not leave:
//! [`Threads::forget_ended`] compares starts, and the observer calls it when a sample finds no times for a
//! member.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::thread_calls::{ThreadCall, ThreadCalls};
use crate::machine::{AffinityError, CpuSet, Machine, ThreadId};

/// One thread of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The thread's id.
    pub id: ThreadId,
    /// The instance it works for.
    pub instance: usize,
    /// True for an intra-op helper, false for the thread that runs the requests.
    pub helper: bool,
}

/// The outcome of moving a set of threads.
pub(super) struct Pinned {
    /// One message per thread whose mask differs.
    pub(super) differences: Vec<String>,
    /// Threads that have left the set meanwhile.
    pub(super) left: Vec<ThreadId>,
}

/// All threads of a model with their desired mask and nice value.
pub(super) struct Threads {
    machine: Arc<dyn Machine>,
    inner: Mutex<TrackedThreads>,
    /// Shared with the building threads, since a thread may move from one set to the other.
    pub(super) calls: Arc<ThreadCalls>,
}

#[derive(Default)]
struct TrackedThreads {
    mask: CpuSet,
    nice: i32,
    members: Vec<Member>,
    /// Threads whose mask has been verified since it was set.
    placed: Vec<ThreadId>,
    /// Threads whose nice value has been verified since it was set.
    niced: Vec<ThreadId>,
}

impl TrackedThreads {
    /// Removes the members for which `has_left` is true.
    fn remove(&mut self, has_left: impl Fn(&Member) -> bool) {
        let Self { members, placed, niced, .. } = self;
        members.retain(|member| !has_left(member));
        for ids in [placed, niced] {
            ids.retain(|id| members.iter().any(|member| member.id == *id));
        }
    }

    fn is_member(&self, thread: ThreadId) -> bool {
        self.members.iter().any(|member| member.id == thread)
    }
}

impl Threads {
    /// Returns an empty set of threads; those that join get `mask`.
    pub(super) fn new(machine: Arc<dyn Machine>, mask: CpuSet) -> Self {
        Self {
            machine,
            inner: Mutex::new(TrackedThreads { mask, ..TrackedThreads::default() }),
            calls: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, TrackedThreads> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an instance's threads and places them. If the desired mask or nice value changes meanwhile,
    /// they get the new one before this returns, so a thread that has joined is always placed correctly.
    pub(super) fn join(&self, members: &[Member]) -> Vec<String> {
        let (mut wanted, added) = {
            let mut inner = self.lock();
            let is_new = |member: &&Member| !inner.is_member(member.id);
            let added: Vec<Member> = members.iter().filter(is_new).copied().collect();
            inner.members.extend(&added);
            ((inner.mask, inner.nice), added)
        };
        loop {
            // Don't hold the lock here: a thread that re-pins itself blocks until it is scheduled on
            // the new core, which would stall every change.
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

    /// Removes an instance's threads, which are about to end. On return, no call is under way for any of
    /// them, unless one hangs.
    pub(super) fn leave(&self, instance: usize) {
        let mut inner = self.lock();
        let is_own = |member: &&Member| member.instance == instance;
        let own: Vec<ThreadId> =
            inner.members.iter().filter(is_own).map(|member| member.id).collect();
        inner.remove(|member| member.instance == instance);
        drop(inner);
        self.calls.wait_for(&own);
    }

    /// Removes threads that have ended without leaving, as an engine may end them. Their numbers may
    /// belong to other threads by now.
    pub(super) fn forget_ended(&self) {
        let has_ended = |member: &Member| self.machine.has_ended(member.id);
        let ended: Vec<Member> = self.members().into_iter().filter(has_ended).collect();
        if ended.is_empty() {
            return;
        }
        let mut inner = self.lock();
        for member in &ended {
            if inner.is_member(member.id) {
                tracing::warn!("thread {} has ended by itself; it is no longer placed", member.id);
            }
        }
        inner.remove(|member| ended.contains(member));
    }

    /// Begins a call for a thread; `None` if it has left.
    pub(super) fn begin_call(&self, thread: ThreadId) -> Option<ThreadCall<'_>> {
        self.calls.begin(thread, || self.lock().is_member(thread))
    }

    /// Sets and verifies the mask of all threads. The mask is in force if none differs.
    pub(super) fn pin(&self, mask: CpuSet) -> Pinned {
        let members = self.set(|inner| {
            inner.mask = mask;
            inner.placed.clear();
        });
        let (mut differences, mut placed) = (Vec::new(), Vec::with_capacity(members.len()));
        for member in &members {
            let Some(_call) = self.begin_call(member.id) else { continue };
            match place(&*self.machine, member.id, &mask) {
                Some(difference) => differences.push(difference),
                None => placed.push(member.id),
            }
        }
        let mut inner = self.lock();
        if inner.mask == mask {
            placed.retain(|id| inner.is_member(*id));
            inner.placed.extend(placed);
        }
        let has_left = |id: &ThreadId| !inner.is_member(*id);
        let left = members.iter().map(|member| member.id).filter(has_left).collect();
        Pinned { differences, left }
    }

    /// Returns the mask that a thread should have; `None` if it is no member.
    pub(super) fn mask_of(&self, id: ThreadId) -> Option<CpuSet> {
        let inner = self.lock();
        inner.is_member(id).then_some(inner.mask)
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
            if self.machine.has_ended(*id) {
                return None;
            }
            // Skip it if divvy is changing it at this moment.
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
            if self.machine.has_ended(*id) {
                return None;
            }
            // Skip a thread that divvy is moving at this moment.
            let inner = self.lock();
            (inner.mask == mask && inner.placed.contains(id)).then(|| {
                format!(
                    "thread {id} was moved from outside: it is allowed on {actual}, not on {mask}"
                )
            })
        };
        placed.iter().filter_map(stray).collect()
    }

    /// Changes the desired values and returns the current threads.
    fn set(&self, what: impl FnOnce(&mut TrackedThreads)) -> Vec<Member> {
        let mut inner = self.lock();
        what(&mut inner);
        inner.members.clone()
    }

    /// Sets and verifies the nice value of all threads, relative to the program's own. Threads that join
    /// later get it too.
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
            let Some(_call) = self.begin_call(member.id) else { continue };
            match self.set_nice(member.id, nice) {
                Err(difference) => refused.push(difference),
                Ok(()) => niced.push(member.id),
            }
        }
        let mut inner = self.lock();
        if inner.nice == nice {
            niced.retain(|id| inner.is_member(*id));
            inner.niced.extend(niced);
        }
        drop(inner);
        if refused.is_empty() { Ok(()) } else { Err(refused) }
    }

    /// Returns the desired nice value.
    pub(super) fn nice(&self) -> i32 {
        self.lock().nice
    }

    /// Sets one thread's nice value. Returns a message if it differs afterwards.
    fn set_nice(&self, thread: ThreadId, nice: i32) -> Result<(), String> {
        match self.machine.set_nice(thread, nice) {
            // The thread ended meanwhile.
            Ok(()) | Err(AffinityError::NoSuchThread(_)) => Ok(()),
            // The system has no nice values per thread.
            Err(AffinityError::Unsupported) if nice == 0 => Ok(()),
            Err(AffinityError::Unsupported) => {
                Err("this operating system has no weights for threads".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Returns the threads.
    pub(super) fn members(&self) -> Vec<Member> {
        self.lock().members.clone()
    }

    /// Returns the desired mask.
    pub(super) fn mask(&self) -> CpuSet {
        self.lock().mask
    }
}

/// Sets and verifies one thread's mask. Returns a message if it differs afterwards.
pub(super) fn place(machine: &dyn Machine, thread: ThreadId, mask: &CpuSet) -> Option<String> {
    match machine.set_affinity(thread, mask).and_then(|()| machine.affinity(thread)) {
        Ok(actual) if actual == *mask => None,
        Ok(actual) => Some(format!("thread {thread} is allowed on {actual}, not on {mask}")),
        // The thread ended meanwhile, so nothing is misplaced.
        Err(AffinityError::NoSuchThread(_)) => None,
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::machine::SimulatedMachine;

    const MEMBER: Member =
        Member { id: ThreadId { tid: 7, start_ticks: Some(100) }, instance: 0, helper: true };

    fn set(list: &str) -> CpuSet {
        list.parse().unwrap()
    }

    fn threads(machine: &Arc<SimulatedMachine>) -> Threads {
        let threads = Threads::new(machine.clone(), set("0"));
        assert_eq!(threads.join(&[MEMBER]), Vec::<String>::new());
        threads
    }

    #[test]
    fn thread_with_a_reused_number_is_left_alone() {
        let machine = Arc::new(SimulatedMachine::uniform(4));
        let threads = threads(&machine);
        let other = machine.reuse_thread(MEMBER.id);
        machine.set_affinity(other, &set("3")).unwrap();
        machine.set_nice(other, 5).unwrap();
        assert_eq!(threads.strays(), Vec::<String>::new());
        threads.forget_ended();
        threads.pin(set("1"));
        threads.set_nice_values(9).unwrap();
        assert_eq!((machine.affinity(other), machine.nice(other)), (Ok(set("3")), Ok(5)));
    }

    #[test]
    fn live_threads_are_kept() {
        let machine = Arc::new(SimulatedMachine::uniform(4));
        let threads = threads(&machine);
        threads.forget_ended();
        assert_eq!(threads.members(), [MEMBER]);
    }

    #[test]
    fn no_call_begins_for_a_thread_that_left() {
        let threads = threads(&Arc::new(SimulatedMachine::uniform(4)));
        assert!(threads.begin_call(MEMBER.id).is_some());
        threads.leave(MEMBER.instance);
        assert!(threads.begin_call(MEMBER.id).is_none());
    }

    #[test]
    fn leaving_waits_for_the_call_under_way() {
        let threads = threads(&Arc::new(SimulatedMachine::uniform(4)));
        std::thread::scope(|scope| {
            let call = threads.begin_call(MEMBER.id).unwrap();
            let leaving = scope.spawn(|| threads.leave(MEMBER.instance));
            while !threads.members().is_empty() {
                std::thread::yield_now();
            }
            // Longer than a leave that does not wait would take.
            std::thread::sleep(Duration::from_millis(20));
            assert!(!leaving.is_finished());
            drop(call);
        });
    }
}
