//! A simulated machine of any topology, for tests and benchmarks. It answers affinity calls as a kernel
//! would, records them, and returns scripted errors. Its descriptions are marked `simulated`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    AffinityError, CoreId, CoreTimes, CpuSet, Description, Machine, MemoryUse, ThreadId,
    ThreadTimes,
};

/// An affinity call and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AffinityCall {
    /// The thread.
    pub thread: ThreadId,
    /// The requested CPUs.
    pub cores: CpuSet,
    /// The machine's answer.
    pub outcome: Result<(), AffinityError>,
}

/// A simulated machine.
///
/// Any thread id counts as alive until [`SimulatedMachine::end_thread`]. A thread that was never
/// placed may run on the whole cpuset. As in Linux, the calls that place threads act on whichever thread
/// has the number of an id.
pub struct SimulatedMachine {
    state: Mutex<SimulatedState>,
}

struct SimulatedState {
    description: Description,
    /// The requested CPUs, per thread. As in Linux since 6.2, a cpuset narrows the effective mask but
    /// not the request, which takes effect again when the cpuset widens.
    requested: BTreeMap<ThreadId, CpuSet>,
    nices: BTreeMap<ThreadId, i32>,
    /// True if nice values can only be increased, as without privilege.
    unprivileged: bool,
    ended: BTreeSet<ThreadId>,
    /// The threads that got the number of another one.
    successors: BTreeMap<i32, ThreadId>,
    faults: VecDeque<AffinityError>,
    log: Vec<AffinityCall>,
    threads: BTreeMap<ThreadId, ThreadTimes>,
    cores: BTreeMap<CoreId, CoreTimes>,
    memory: MemoryUse,
}

impl SimulatedState {
    /// Returns the CPUs that the kernel allows for this process.
    fn usable(&self) -> CpuSet {
        self.description.limits.allowed.intersection(&self.description.topology.online())
    }

    /// Returns the thread that has the number of an id.
    fn holder(&self, thread: ThreadId) -> ThreadId {
        self.successors.get(&thread.tid).copied().unwrap_or(thread)
    }

    fn has_ended(&self, thread: ThreadId) -> bool {
        self.ended.contains(&thread) || self.holder(thread).is_reused_by(thread.start_ticks)
    }

    fn effective_mask(&self, thread: ThreadId) -> CpuSet {
        let usable = self.usable();
        let mask = self.requested.get(&thread).map(|mask| mask.intersection(&usable));
        // A kernel never leaves a thread without a CPU: it ignores a request that has none left.
        mask.filter(|mask| !mask.is_empty()).unwrap_or(usable)
    }
}

impl SimulatedMachine {
    /// Creates a machine from a description, and marks it `simulated`. The allowed CPUs are its
    /// cpuset.
    pub fn new(description: Description) -> Self {
        Self {
            state: Mutex::new(SimulatedState {
                description: Description { simulated: true, ..description },
                requested: BTreeMap::new(),
                nices: BTreeMap::new(),
                unprivileged: false,
                ended: BTreeSet::new(),
                successors: BTreeMap::new(),
                faults: VecDeque::new(),
                log: Vec::new(),
                threads: BTreeMap::new(),
                cores: BTreeMap::new(),
                memory: MemoryUse::default(),
            }),
        }
    }

    /// Creates a machine with `count` uniform cores.
    pub fn uniform(count: usize) -> Self {
        Self::new(Description::uniform(count))
    }

    /// Makes the next [`Machine::set_affinity`] fail. Several errors queue up.
    pub fn refuse_next(&self, error: AffinityError) {
        self.state().faults.push_back(error);
    }

    /// From now on refuses to decrease nice values, as a kernel does without privilege.
    pub fn forbid_raising(&self) {
        self.state().unprivileged = true;
    }

    /// Replaces the cpuset. All threads are confined to it at once.
    pub fn set_cpuset(&self, cores: CpuSet) {
        self.state().description.limits.allowed = cores;
    }

    /// Takes a CPU offline, or online again. Masks of threads follow at once.
    pub fn set_online(&self, id: CoreId, online: bool) {
        let mut state = self.state();
        if let Some(core) = state.description.topology.cores.iter_mut().find(|core| core.id == id) {
            core.online = online;
        }
    }

    /// Sets or removes the CPU quota, in CPUs.
    pub fn set_quota(&self, quota: Option<f64>) {
        self.state().description.limits.quota = quota;
    }

    /// Ends a thread. Calls for it fail from now on.
    pub fn end_thread(&self, thread: ThreadId) {
        let mut state = self.state();
        state.requested.remove(&thread);
        state.threads.remove(&thread);
        state.nices.remove(&thread);
        state.ended.insert(thread);
    }

    /// Ends a thread and starts another one with the same number. Returns its id.
    pub fn reuse_thread(&self, thread: ThreadId) -> ThreadId {
        self.end_thread(thread);
        let next = thread.start_ticks.map_or(1, |start| start + 1);
        let successor = ThreadId { start_ticks: Some(next), ..thread };
        self.state().successors.insert(thread.tid, successor);
        successor
    }

    /// Sets the result of [`Machine::thread_times`] for a thread.
    pub fn set_thread_times(&self, thread: ThreadId, times: ThreadTimes) {
        self.state().threads.insert(thread, times);
    }

    /// Sets the result of [`Machine::core_times`] for a CPU.
    pub fn set_core_times(&self, times: CoreTimes) {
        self.state().cores.insert(times.core, times);
    }

    /// Sets the result of [`Machine::memory`].
    pub fn set_memory(&self, memory: MemoryUse) {
        self.state().memory = memory;
    }

    /// Returns the affinity calls so far, oldest first, including refused ones.
    pub fn log(&self) -> Vec<AffinityCall> {
        self.state().log.clone()
    }

    /// Returns the effective masks of all threads that were placed and have not ended.
    pub fn masks(&self) -> BTreeMap<ThreadId, CpuSet> {
        let state = self.state();
        state.requested.keys().map(|thread| (*thread, state.effective_mask(*thread))).collect()
    }

    fn state(&self) -> MutexGuard<'_, SimulatedState> {
        // Each method leaves the state consistent, so a poisoned lock is harmless.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Machine for SimulatedMachine {
    fn describe(&self) -> Description {
        let state = self.state();
        let mut description = state.description.clone();
        description.limits.allowed = state.usable();
        description
    }

    fn set_affinity(&self, thread: ThreadId, cores: &CpuSet) -> Result<(), AffinityError> {
        let mut state = self.state();
        let thread = state.holder(thread);
        let outcome = if state.ended.contains(&thread) {
            Err(AffinityError::NoSuchThread(thread))
        } else if let Some(fault) = state.faults.pop_front() {
            Err(fault)
        } else if cores.is_disjoint(&state.usable()) {
            Err(AffinityError::NotAllowed { asked: *cores })
        } else {
            state.requested.insert(thread, *cores);
            Ok(())
        };
        state.log.push(AffinityCall { thread, cores: *cores, outcome: outcome.clone() });
        outcome
    }

    fn affinity(&self, thread: ThreadId) -> Result<CpuSet, AffinityError> {
        let state = self.state();
        let thread = state.holder(thread);
        if state.ended.contains(&thread) {
            return Err(AffinityError::NoSuchThread(thread));
        }
        Ok(state.effective_mask(thread))
    }

    fn set_nice(&self, thread: ThreadId, nice: i32) -> Result<(), AffinityError> {
        let current = self.nice(thread)?;
        let mut state = self.state();
        let thread = state.holder(thread);
        if state.unprivileged && nice < current {
            return Err(AffinityError::NiceNotRaised { thread, current, asked: nice });
        }
        state.nices.insert(thread, nice);
        Ok(())
    }

    fn nice(&self, thread: ThreadId) -> Result<i32, AffinityError> {
        let state = self.state();
        let thread = state.holder(thread);
        if state.ended.contains(&thread) {
            return Err(AffinityError::NoSuchThread(thread));
        }
        Ok(state.nices.get(&thread).copied().unwrap_or(0))
    }

    /// Returns the times that were set, or zeros.
    fn thread_times(&self, thread: ThreadId) -> Option<ThreadTimes> {
        let state = self.state();
        if state.has_ended(thread) {
            return None;
        }
        Some(
            state
                .threads
                .get(&thread)
                .copied()
                .unwrap_or(ThreadTimes { wait_ns: Some(0), ..ThreadTimes::default() }),
        )
    }

    fn has_ended(&self, thread: ThreadId) -> bool {
        self.state().has_ended(thread)
    }

    fn core_times(&self) -> Vec<CoreTimes> {
        let state = self.state();
        let times = |core| {
            state.cores.get(&core).copied().unwrap_or(CoreTimes { core, ..CoreTimes::default() })
        };
        state.description.topology.online().iter().map(times).collect()
    }

    fn memory(&self) -> MemoryUse {
        self.state().memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREAD: ThreadId = ThreadId::of_tid(7);

    fn set(list: &str) -> CpuSet {
        list.parse().unwrap()
    }

    #[test]
    fn masks_follow_cpuset_changes() {
        let machine = SimulatedMachine::uniform(8);
        machine.set_affinity(THREAD, &set("2-5")).unwrap();
        machine.set_cpuset(set("0-3"));
        assert_eq!(machine.affinity(THREAD).unwrap(), set("2-3"));
        machine.set_online(CoreId(2), false);
        machine.set_online(CoreId(3), false);
        assert_eq!(machine.affinity(THREAD).unwrap(), set("0-1"), "a thread always has a CPU");
        assert_eq!(machine.describe().limits.allowed, set("0-1"));
        assert_eq!(machine.core_times().len(), 6);
        machine.set_cpuset(set("0-7"));
        machine.set_online(CoreId(3), true);
        assert_eq!(machine.affinity(THREAD).unwrap(), set("3-5"));
    }

    #[test]
    fn logs_refused_calls() {
        let machine = SimulatedMachine::uniform(4);
        machine.set_affinity(THREAD, &set("1")).unwrap();
        let scripted = AffinityError::Refused { thread: THREAD, reason: "scripted".into() };
        machine.refuse_next(scripted.clone());
        assert_eq!(machine.set_affinity(THREAD, &set("2")), Err(scripted.clone()));
        let absent = AffinityError::NotAllowed { asked: set("9") };
        assert_eq!(machine.set_affinity(THREAD, &set("9")), Err(absent.clone()));
        assert_eq!(machine.affinity(THREAD).unwrap(), set("1"));
        let outcomes: Vec<_> = machine.log().into_iter().map(|call| call.outcome).collect();
        assert_eq!(outcomes, [Ok(()), Err(scripted), Err(absent)]);
    }

    #[test]
    fn calls_fail_after_a_thread_ends() {
        let machine = SimulatedMachine::uniform(2);
        machine.set_affinity(THREAD, &set("0")).unwrap();
        assert_eq!(machine.thread_times(THREAD).unwrap().cpu_ns, 0);
        machine.end_thread(THREAD);
        assert_eq!(machine.affinity(THREAD), Err(AffinityError::NoSuchThread(THREAD)));
        assert_eq!(machine.thread_times(THREAD), None);
        assert!(machine.masks().is_empty());
    }

    #[test]
    fn calls_act_on_the_holder_of_a_number() {
        let machine = SimulatedMachine::uniform(4);
        let first = ThreadId { start_ticks: Some(5), ..THREAD };
        let second = machine.reuse_thread(first);
        assert!(machine.has_ended(first) && !machine.has_ended(second));
        machine.set_affinity(first, &set("1")).unwrap();
        assert_eq!(machine.affinity(second).unwrap(), set("1"));
        assert_eq!(machine.thread_times(first), None);
        assert!(machine.thread_times(second).is_some());
    }

    #[test]
    fn descriptions_are_marked_simulated() {
        let plain = Description { simulated: false, ..Description::uniform(1) };
        assert!(SimulatedMachine::new(plain).describe().simulated);
    }
}
