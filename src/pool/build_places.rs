//! The places for loads, builds and trial requests: a scheduler runs only so many at once.
//!
//! Without a bound, a layout of a hundred models or a model of a hundred instances would read all files
//! and build all sessions at the same time, on the cores of the models that serve. The model checker
//! compiles this file too.

use super::sync::{Arc, Mutex, MutexGuard, PoisonError, Thread, current, park};

/// Loads, builds and trial requests that run at once, over all pools of a scheduler.
pub const BUILDS_AT_ONCE: usize = 8;

/// A step of a build that takes a place. A waiting trial request comes before a waiting build, so that
/// what was built is ready soon, and a model that cannot run fails before all its instances are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BuildStep {
    /// A trial request; those of one pool run one at a time.
    Trial,
    /// The load of a model, or the build of an instance.
    Build,
}

/// The places that pools share. A free one goes to the pool that has the fewest, so that a model with
/// many instances does not keep the others waiting, and within the pool to the step that came first.
pub struct BuildPlaces {
    limit: usize,
    state: Mutex<Places>,
}

#[derive(Default)]
pub(super) struct Places {
    /// The pool and the step of each taken place.
    pub(super) taken: Vec<(u64, BuildStep)>,
    /// Oldest first.
    waiting: Vec<WaitingStep>,
    next_number: u64,
}

struct WaitingStep {
    number: u64,
    pool: u64,
    step: BuildStep,
    thread: Thread,
}

impl Default for BuildPlaces {
    fn default() -> Self {
        Self::new(BUILDS_AT_ONCE)
    }
}

impl BuildPlaces {
    /// Returns `limit` places, at least one.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), state: Mutex::new(Places::default()) }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place for a step of a pool. Returns `None` once the step is cancelled. Call
    /// [`BuildPlaces::wake`] after cancelling it.
    pub(crate) fn take(
        self: &Arc<Self>,
        pool: u64,
        step: BuildStep,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Option<BuildPlace> {
        let number = self.lock().wait(pool, step);
        loop {
            // Not under the lock: the answer may take another one.
            let is_cancelled = is_cancelled();
            let mut places = self.lock();
            places.give(self.limit);
            if !places.is_waiting(number) {
                drop(places);
                let place = BuildPlace { places: self.clone(), pool, step };
                // Dropping the place gives it to the next.
                return (!is_cancelled).then_some(place);
            }
            if is_cancelled {
                places.waiting.retain(|waiting| waiting.number != number);
                return None;
            }
            drop(places);
            park();
        }
    }

    /// Has the waiting steps of a pool check whether they are cancelled.
    pub(crate) fn wake(&self, pool: u64) {
        for waiting in self.lock().waiting.iter().filter(|waiting| waiting.pool == pool) {
            waiting.thread.unpark();
        }
    }

    fn give_back(&self, pool: u64, step: BuildStep) {
        let mut places = self.lock();
        if let Some(at) = places.taken.iter().position(|taken| *taken == (pool, step)) {
            places.taken.swap_remove(at);
        }
        places.give(self.limit);
    }
}

impl Places {
    /// Adds the calling thread to those that wait. Returns its number.
    pub(super) fn wait(&mut self, pool: u64, step: BuildStep) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.waiting.push(WaitingStep { number, pool, step, thread: current() });
        number
    }

    fn is_waiting(&self, number: u64) -> bool {
        self.waiting.iter().any(|waiting| waiting.number == number)
    }

    /// Gives free places to those that wait, and wakes them.
    pub(super) fn give(&mut self, limit: usize) {
        while self.taken.len() < limit
            && let Some(next) = self.next()
        {
            let next = self.waiting.remove(next);
            self.taken.push((next.pool, next.step));
            next.thread.unpark();
        }
    }

    /// Returns the index of the step that gets the next place.
    fn next(&self) -> Option<usize> {
        let held = |pool: u64| self.taken.iter().filter(|taken| taken.0 == pool).count();
        let may_start = |waiting: &WaitingStep| {
            waiting.step != BuildStep::Trial
                || !self.taken.contains(&(waiting.pool, BuildStep::Trial))
        };
        let waiting = self.waiting.iter().enumerate();
        let next = waiting
            .filter(|(_, waiting)| may_start(waiting))
            .min_by_key(|(_, waiting)| (held(waiting.pool), waiting.step, waiting.number));
        next.map(|(at, _)| at)
    }
}

/// A taken place. Dropping it gives it to the next.
pub(crate) struct BuildPlace {
    places: Arc<BuildPlaces>,
    pool: u64,
    step: BuildStep,
}

impl Drop for BuildPlace {
    fn drop(&mut self) {
        self.places.give_back(self.pool, self.step);
    }
}
