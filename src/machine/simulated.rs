//! A machine of any shape for tests and benches: it answers affinity calls as a kernel would,
//! records them, and takes scripted faults. Whatever comes from it says `simulated`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    AffinityError, CoreId, CoreTimes, CpuSet, Description, Machine, MemoryUse, ThreadId,
    ThreadTimes,
};

/// An affinity call and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AffinityCall {
    /// The thread that was to be placed.
    pub thread: ThreadId,
    /// The CPUs asked for.
    pub cores: CpuSet,
    /// What the machine said.
    pub outcome: Result<(), AffinityError>,
}

/// A simulated machine. All its methods take `&self`; share it by `Arc`.
///
/// Any thread id is taken as alive until [`SimulatedMachine::end_thread`]. A thread that was never placed
/// may run on the whole cpuset.
pub struct SimulatedMachine {
    state: Mutex<State>,
}

struct State {
    description: Description,
    /// The CPUs asked for, per thread. As in Linux since 6.2 the wish outlives a cpuset that cuts
    /// it, and comes back when the cpuset does.
    wishes: BTreeMap<ThreadId, CpuSet>,
    nices: BTreeMap<ThreadId, i32>,
    /// Whether nice values only go up, as without privilege.
    unprivileged: bool,
    ended: BTreeSet<ThreadId>,
    faults: VecDeque<AffinityError>,
    log: Vec<AffinityCall>,
    threads: BTreeMap<ThreadId, ThreadTimes>,
    cores: BTreeMap<CoreId, CoreTimes>,
    memory: MemoryUse,
}

impl State {
    /// The CPUs that the kernel would let anything of this process run on.
    fn usable(&self) -> CpuSet {
        self.description.limits.allowed.intersection(&self.description.topology.online())
    }

    fn in_force(&self, thread: ThreadId) -> CpuSet {
        let usable = self.usable();
        let wish = self.wishes.get(&thread).map(|wish| wish.intersection(&usable));
        // A kernel never leaves a thread without a CPU: a wish that is cut to nothing is set aside.
        wish.filter(|wish| !wish.is_empty()).unwrap_or(usable)
    }
}

impl SimulatedMachine {
    /// A machine as described; `simulated` is set whatever the description says. The allowed CPUs
    /// play the cpuset.
    pub fn new(description: Description) -> Self {
        Self {
            state: Mutex::new(State {
                description: Description { simulated: true, ..description },
                wishes: BTreeMap::new(),
                nices: BTreeMap::new(),
                unprivileged: false,
                ended: BTreeSet::new(),
                faults: VecDeque::new(),
                log: Vec::new(),
                threads: BTreeMap::new(),
                cores: BTreeMap::new(),
                memory: MemoryUse::default(),
            }),
        }
    }

    /// `count` uniform cores.
    pub fn uniform(count: usize) -> Self {
        Self::new(Description::uniform(count))
    }

    /// Refuses the next affinity call that sets a mask; several queue up.
    pub fn refuse_next(&self, error: AffinityError) {
        self.state().faults.push_back(error);
    }

    /// Lets nice values only go up from now on, as a kernel does without privilege.
    pub fn forbid_raising(&self) {
        self.state().unprivileged = true;
    }

    /// Replaces the cpuset: threads are confined to it at once.
    pub fn set_cpuset(&self, cores: CpuSet) {
        self.state().description.limits.allowed = cores;
    }

    /// Unplugs a CPU, or plugs it in again. Threads leave it at once and come back with it.
    pub fn set_online(&self, id: CoreId, online: bool) {
        let mut state = self.state();
        if let Some(core) = state.description.topology.cores.iter_mut().find(|core| core.id == id) {
            core.online = online;
        }
    }

    /// Sets or lifts the CPU quota, in CPUs.
    pub fn set_quota(&self, quota: Option<f64>) {
        self.state().description.limits.quota = quota;
    }

    /// Ends a thread: asking about it fails from now on.
    pub fn end_thread(&self, thread: ThreadId) {
        let mut state = self.state();
        state.wishes.remove(&thread);
        state.threads.remove(&thread);
        state.nices.remove(&thread);
        state.ended.insert(thread);
    }

    /// Sets what [`Machine::thread_times`] says of a thread.
    pub fn set_thread_times(&self, thread: ThreadId, times: ThreadTimes) {
        self.state().threads.insert(thread, times);
    }

    /// Sets what [`Machine::core_times`] says of a CPU.
    pub fn set_core_times(&self, times: CoreTimes) {
        self.state().cores.insert(times.core, times);
    }

    /// Sets what [`Machine::memory`] says.
    pub fn set_memory(&self, memory: MemoryUse) {
        self.state().memory = memory;
    }

    /// The affinity calls so far, oldest first, refused ones included.
    pub fn log(&self) -> Vec<AffinityCall> {
        self.state().log.clone()
    }

    /// The masks in force of all threads that were ever placed and have not ended.
    pub fn masks(&self) -> BTreeMap<ThreadId, CpuSet> {
        let state = self.state();
        state.wishes.keys().map(|thread| (*thread, state.in_force(*thread))).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each method leaves the state whole, so a panic of a test's thread spoils nothing.
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
        let outcome = if state.ended.contains(&thread) {
            Err(AffinityError::NoSuchThread(thread))
        } else if let Some(fault) = state.faults.pop_front() {
            Err(fault)
        } else if cores.is_disjoint(&state.usable()) {
            Err(AffinityError::NotAllowed { asked: *cores })
        } else {
            state.wishes.insert(thread, *cores);
            Ok(())
        };
        state.log.push(AffinityCall { thread, cores: *cores, outcome: outcome.clone() });
        outcome
    }

    fn affinity(&self, thread: ThreadId) -> Result<CpuSet, AffinityError> {
        let state = self.state();
        if state.ended.contains(&thread) {
            return Err(AffinityError::NoSuchThread(thread));
        }
        Ok(state.in_force(thread))
    }

    fn set_nice(&self, thread: ThreadId, nice: i32) -> Result<(), AffinityError> {
        let held = self.nice(thread)?;
        let mut state = self.state();
        if state.unprivileged && nice < held {
            return Err(AffinityError::NiceNotRaised { thread, held, asked: nice });
        }
        state.nices.insert(thread, nice);
        Ok(())
    }

    fn nice(&self, thread: ThreadId) -> Result<i32, AffinityError> {
        let state = self.state();
        if state.ended.contains(&thread) {
            return Err(AffinityError::NoSuchThread(thread));
        }
        Ok(state.nices.get(&thread).copied().unwrap_or(0))
    }

    /// What was set; a thread of which nothing was set is alive and has used nothing.
    fn thread_times(&self, thread: ThreadId) -> Option<ThreadTimes> {
        let state = self.state();
        if state.ended.contains(&thread) {
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

    const THREAD: ThreadId = ThreadId(7);

    fn set(list: &str) -> CpuSet {
        list.parse().unwrap()
    }

    #[test]
    fn masks_follow_cpuset_and_plug_and_come_back_with_them() {
        let machine = SimulatedMachine::uniform(8);
        machine.set_affinity(THREAD, &set("2-5")).unwrap();
        machine.set_cpuset(set("0-3"));
        assert_eq!(machine.affinity(THREAD).unwrap(), set("2-3"));
        machine.set_online(CoreId(2), false);
        machine.set_online(CoreId(3), false);
        assert_eq!(machine.affinity(THREAD).unwrap(), set("0-1"), "a thread keeps some CPU");
        assert_eq!(machine.describe().limits.allowed, set("0-1"));
        assert_eq!(machine.core_times().len(), 6);
        machine.set_cpuset(set("0-7"));
        machine.set_online(CoreId(3), true);
        assert_eq!(machine.affinity(THREAD).unwrap(), set("3-5"));
    }

    #[test]
    fn refusals_change_nothing_and_are_logged() {
        let machine = SimulatedMachine::uniform(4);
        machine.set_affinity(THREAD, &set("1")).unwrap();
        let scripted = AffinityError::Refused { thread: THREAD, reason: "scripted".into() };
        machine.refuse_next(scripted.clone());
        assert_eq!(machine.set_affinity(THREAD, &set("2")), Err(scripted.clone()));
        let nowhere = AffinityError::NotAllowed { asked: set("9") };
        assert_eq!(machine.set_affinity(THREAD, &set("9")), Err(nowhere.clone()));
        assert_eq!(machine.affinity(THREAD).unwrap(), set("1"));
        let outcomes: Vec<_> = machine.log().into_iter().map(|call| call.outcome).collect();
        assert_eq!(outcomes, [Ok(()), Err(scripted), Err(nowhere)]);
    }

    #[test]
    fn an_ended_thread_is_gone() {
        let machine = SimulatedMachine::uniform(2);
        machine.set_affinity(THREAD, &set("0")).unwrap();
        assert_eq!(machine.thread_times(THREAD).unwrap().cpu_ns, 0);
        machine.end_thread(THREAD);
        assert_eq!(machine.affinity(THREAD), Err(AffinityError::NoSuchThread(THREAD)));
        assert_eq!(machine.thread_times(THREAD), None);
        assert!(machine.masks().is_empty());
    }

    #[test]
    fn what_comes_from_it_says_so() {
        let plain = Description { simulated: false, ..Description::uniform(1) };
        assert!(SimulatedMachine::new(plain).describe().simulated);
    }
}
