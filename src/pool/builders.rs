//! The threads that load a pool's model or build its instances. Moves them off cores that become reserved
//! and reports when the last one has ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::inner::Inner;
use super::thread_calls::{ThreadCall, ThreadCalls};
use super::threads::{Pinned, Threads, place};
use crate::machine::{CpuSet, Listening, Machine, ThreadId, ThreadListener, current_thread};

/// The building threads of a pool. They are no members of the model: they use other cores than its
/// requests, and count neither as its CPU use nor against its bound.
pub(super) struct BuilderThreads {
    machine: Arc<dyn Machine>,
    state: Mutex<Builders>,
    /// Shared with the members, since a thread may move from one set to the other.
    calls: Arc<ThreadCalls>,
}

struct Builders {
    cores: CpuSet,
    next: u64,
    /// The threads of each builder, by its number.
    threads: BTreeMap<u64, Vec<ThreadId>>,
}

impl BuilderThreads {
    /// Returns an empty set of threads that may run on the cores of the members until they get others.
    pub(super) fn new(machine: Arc<dyn Machine>, members: &Threads) -> Self {
        let cores = members.mask();
        let state = Mutex::new(Builders { cores, next: 0, threads: BTreeMap::new() });
        Self { machine, state, calls: members.calls.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Builders> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the cores for building.
    pub(super) fn cores(&self) -> CpuSet {
        self.lock().cores
    }

    /// Returns the number of loads and builds.
    pub(super) fn len(&self) -> usize {
        self.lock().threads.len()
    }

    /// Returns true if nothing loads or builds.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().threads.is_empty()
    }

    /// Sets the cores for building and moves all building threads there.
    pub(super) fn pin(&self, cores: CpuSet) -> Pinned {
        let threads: Vec<ThreadId> = {
            let mut state = self.lock();
            state.cores = cores;
            state.threads.values().flatten().copied().collect()
        };
        let place = |thread: &ThreadId| {
            let _call = self.begin_call(*thread)?;
            place(&*self.machine, *thread, &cores)
        };
        let differences = threads.iter().filter_map(place).collect();
        let state = self.lock();
        let has_left = |thread: &ThreadId| !state.contains(*thread);
        Pinned { differences, left: threads.into_iter().filter(has_left).collect() }
    }

    /// Begins a call for a thread; `None` if it builds no more.
    pub(super) fn begin_call(&self, thread: ThreadId) -> Option<ThreadCall<'_>> {
        self.calls.begin(thread, || self.lock().contains(thread))
    }

    /// Returns the cores on which a building thread belongs; `None` if it is none.
    pub(super) fn cores_of(&self, thread: ThreadId) -> Option<CpuSet> {
        let state = self.lock();
        state.contains(thread).then_some(state.cores)
    }

    /// Adds threads of a builder and moves them to the cores for building. Adds none if the builder has
    /// ended or its threads serve.
    fn add(&self, builder: u64, threads: &[ThreadId]) {
        let mut state = self.lock();
        let Some(own) = state.threads.get_mut(&builder) else { return };
        let new: Vec<ThreadId> =
            threads.iter().filter(|thread| !own.contains(thread)).copied().collect();
        own.extend(&new);
        drop(state);
        self.place_all(&new);
    }

    /// Removes a thread of a builder, which is about to end. On return, no call is under way for it,
    /// unless one hangs.
    fn remove(&self, builder: u64, thread: ThreadId) {
        let mut state = self.lock();
        let Some(own) = state.threads.get_mut(&builder) else { return };
        own.retain(|known| *known != thread);
        drop(state);
        self.calls.wait_for(&[thread]);
    }

    /// Moves threads that have been added. If the cores change meanwhile, they end on the new ones.
    fn place_all(&self, threads: &[ThreadId]) {
        // Don't hold the lock here: a thread that re-pins itself blocks until it is scheduled on the
        // new core, which would stall every change.
        let mut cores = self.cores();
        loop {
            for thread in threads {
                // If it fails, the process's own mask applies.
                let _ = place(&*self.machine, *thread, &cores);
            }
            let newest = self.cores();
            if newest == cores {
                return;
            }
            cores = newest;
        }
    }
}

impl Builders {
    fn contains(&self, thread: ThreadId) -> bool {
        self.threads.values().flatten().any(|known| *known == thread)
    }
}

/// A thread that loads or builds, with the engine's threads that work for it meanwhile. While it exists,
/// its pool has not ended.
pub(super) struct Builder {
    inner: Arc<Inner>,
    number: u64,
}

impl Builder {
    /// Registers a builder that has no thread yet.
    pub(super) fn new(inner: &Arc<Inner>) -> Self {
        let mut state = inner.builders.lock();
        let number = state.next;
        state.next += 1;
        state.threads.insert(number, Vec::new());
        drop(state);
        Self { inner: inner.clone(), number }
    }

    /// Returns the state of its pool.
    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Moves the calling thread to the cores for building. Threads that the engine creates inherit
    /// them; [`Builder::listen`] adds these threads.
    pub(super) fn add_current_thread(&self) {
        self.add(&[current_thread()]);
    }

    /// Adds threads and moves them to the cores for building.
    pub(super) fn add(&self, threads: &[ThreadId]) {
        self.inner.builders.add(self.number, threads);
    }

    /// Adds the threads that the engine creates for the calling thread, until the result is dropped.
    pub(super) fn listen(&self) -> Listening {
        let inner = Arc::downgrade(&self.inner);
        Listening::start(Arc::new(BuilderListener { inner, number: self.number }))
    }

    /// Forgets the threads, which serve from now on. Call it before they join the model's members.
    ///
    /// It does not wait for a [`BuilderThreads::pin`] that is on its way: on a busy machine that would
    /// take as long as the slowest thread needs to get a core. Such a call may move the threads once
    /// more after they have joined the members; it finds that out afterwards and has them placed again
    /// ([`Inner::settle`]).
    pub(super) fn release_threads(&self) {
        self.inner.builders.lock().threads.remove(&self.number);
    }
}

/// Adds the threads that an engine creates to those of a builder. The engine's threads hold it until they
/// end, so it does not hold the pool.
struct BuilderListener {
    inner: Weak<Inner>,
    number: u64,
}

impl ThreadListener for BuilderListener {
    fn started(&self, thread: ThreadId) {
        if let Some(inner) = self.inner.upgrade() {
            inner.builders.add(self.number, &[thread]);
        }
    }

    fn ending(&self, thread: ThreadId) {
        if let Some(inner) = self.inner.upgrade() {
            inner.builders.remove(self.number, thread);
        }
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        let builders = &self.inner.builders;
        let threads = builders.lock().threads.remove(&self.number);
        // They may end now. After `release_threads` there are none, and their set waits for them.
        builders.calls.wait_for(&threads.unwrap_or_default());
    }
}
