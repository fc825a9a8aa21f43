//! An estimate of the heap that a session's graph and kernels take. The library does not count them,
//! so the growth of the heap during the build is measured.
//!
//! Builds overlap while a layout loads. The growth between two ends, and between the first start and the
//! first end, is divided evenly among the builds that are running. A build frees much of its memory at its end, so when the last one has
//! ended, the shares are scaled to the growth that remains. Memory that our own allocator counts, and
//! the arenas of other sessions, are subtracted. Other allocations during a build are not, so the
//! result is an estimate.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::memory::RawSession;
use crate::machine::allocation;
use crate::machine::heap::heap;

static METER: Mutex<Meter> = Mutex::new(Meter { builds: Builds::new(), sessions: Vec::new() });

struct Meter {
    builds: Builds<Weak<RawSession>>,
    /// All sessions that may still be alive.
    sessions: Vec<Weak<RawSession>>,
}

/// Builds since the last moment at which none was running.
struct Builds<S> {
    next_id: u64,
    /// Size of the heap at the last reading, in bytes.
    last: i64,
    /// Growth of the heap since the first of these builds started, in bytes.
    growth: i64,
    running: Vec<RunningBuild>,
    finished: Vec<FinishedBuild<S>>,
}

struct RunningBuild {
    id: u64,
    /// Its share of the growth so far, in bytes; negative if the heap has shrunk.
    share: i64,
}

struct FinishedBuild<S> {
    session: S,
    weights: i64,
    /// Its share of the growth without the weights, in bytes.
    graph: i64,
}

/// A running build. Dropping it marks the build as failed.
pub(super) struct BuildGrowth {
    id: u64,
}

impl BuildGrowth {
    /// Starts the measurement.
    pub(super) fn start() -> Self {
        let mut sampled = Vec::new();
        let mut meter = meter();
        // A reading locks the allocator for everyone, so one build needs no more than its end's if
        // another is running: what the heap has grown since the last reading is divided with this one.
        let now = if meter.builds.running.is_empty() {
            meter.foreign_heap(&mut sampled)
        } else {
            meter.builds.last
        };
        Self { id: meter.builds.start(now) }
    }

    /// Ends the measurement of a build that made `session` with so many bytes of weights. When no
    /// other build is running, sets the graph estimate of this session and of those built beside it.
    /// Until then it stays 0, also on systems that do not report the size of the heap.
    pub(super) fn finish(self, session: &Arc<RawSession>, weights: u64) {
        let mut sampled = Vec::new();
        let mut meter = meter();
        let now = meter.foreign_heap(&mut sampled);
        let arena = session.cpu_arena().map_or(0, |arena| arena.allocated);
        let (session, weights) = (Arc::downgrade(session), weights.cast_signed());
        let estimates = meter.builds.finish(self.id, now, Some((session.clone(), weights)));
        // From now on, the session's arena is subtracted too. The heap is not read again for that: a
        // reading locks the allocator for everyone.
        meter.sessions.push(session);
        meter.builds.last = now - arena.cast_signed();
        set_graphs(estimates);
    }
}

impl Drop for BuildGrowth {
    fn drop(&mut self) {
        let mut sampled = Vec::new();
        let mut meter = meter();
        if meter.builds.is_running(self.id) {
            let now = meter.foreign_heap(&mut sampled);
            set_graphs(meter.builds.finish(self.id, now, None));
        }
    }
}

fn meter() -> MutexGuard<'static, Meter> {
    // Nothing panics while the lock is held.
    METER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set_graphs(estimates: Vec<(Weak<RawSession>, u64)>) {
    for (session, graph) in estimates {
        if let Some(session) = session.upgrade() {
            session.set_graph(graph);
        }
    }
}

impl Meter {
    /// Returns the bytes of the heap in use that neither our own allocator nor an arena counts.
    /// Adds the sessions that it has read to `sampled`, which the caller drops after it has released
    /// the lock: the drop may end a session, which is slow.
    fn foreign_heap(&mut self, sampled: &mut Vec<Arc<RawSession>>) -> i64 {
        self.sessions.retain(|session| session.strong_count() > 0);
        let first = sampled.len();
        sampled.extend(self.sessions.iter().filter_map(Weak::upgrade));
        let live = sampled.iter().skip(first);
        let arenas: u64 =
            live.filter_map(|session| session.cpu_arena()).map(|arena| arena.allocated).sum();
        let in_use = heap().map_or(0, |heap| heap.in_use());
        in_use.cast_signed() - (allocation::counted_bytes() + arenas).cast_signed()
    }
}

impl<S: Clone> Builds<S> {
    const fn new() -> Self {
        Self { next_id: 0, last: 0, growth: 0, running: Vec::new(), finished: Vec::new() }
    }

    /// Starts a build while the heap has `now` bytes. Returns its id.
    fn start(&mut self, now: i64) -> u64 {
        self.divide_growth(now);
        if self.running.is_empty() {
            self.growth = 0;
            self.finished.clear();
        }
        self.next_id += 1;
        self.running.push(RunningBuild { id: self.next_id, share: 0 });
        self.next_id
    }

    fn is_running(&self, id: u64) -> bool {
        self.running.iter().any(|build| build.id == id)
    }

    /// Ends a build while the heap has `now` bytes. `built` is its session and the bytes of its
    /// weights, `None` if it failed. If it was the last running build, returns the graph estimates of
    /// all that have finished, else nothing.
    fn finish(&mut self, id: u64, now: i64, built: Option<(S, i64)>) -> Vec<(S, u64)> {
        self.divide_growth(now);
        let share = self.running.iter().find(|build| build.id == id).map_or(0, |build| build.share);
        self.running.retain(|build| build.id != id);
        if let Some((session, weights)) = built {
            self.finished.push(FinishedBuild { session, weights, graph: (share - weights).max(0) });
        }
        if !self.running.is_empty() {
            return Vec::new();
        }
        let sum: i64 = self.finished.iter().map(|build| build.graph).sum();
        let weights: i64 = self.finished.iter().map(|build| build.weights).sum();
        let remaining = (self.growth - weights).max(0);
        let scale = if sum > 0 { remaining as f64 / sum as f64 } else { 0.0 };
        let estimate =
            |build: FinishedBuild<S>| (build.session, (build.graph as f64 * scale) as u64);
        self.finished.drain(..).map(estimate).collect()
    }

    /// Divides the growth since the last call among the running builds.
    fn divide_growth(&mut self, now: i64) {
        let growth = now - self.last;
        self.last = now;
        self.growth += growth;
        let count = self.running.len() as i64;
        self.running.iter_mut().for_each(|build| build.share += growth / count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_build_gets_growth_without_weights() {
        let mut builds = Builds::new();
        let first = builds.start(1000);
        assert_eq!(builds.finish(first, 1100, Some(("first", 60))), [("first", 40)]);
        // Changes of the heap between two builds do not count.
        let second = builds.start(9000);
        assert_eq!(builds.finish(second, 9100, Some(("second", 0))), [("second", 100)]);
        let third = builds.start(9000);
        assert_eq!(builds.finish(third, 8000, Some(("third", 10))), [("third", 0)], "never below");
    }

    #[test]
    fn overlapping_builds_share_remaining_growth() {
        let mut builds = Builds::new();
        let first = builds.start(0);
        let second = builds.start(400);
        // Both use much memory for now, so nothing is reported that a budget could be compared with.
        assert_eq!(builds.finish(second, 1000, Some(("second", 100))), []);
        // The first frees most of it at its end: 150 bytes of graphs remain beside the weights.
        let estimates = builds.finish(first, 300, Some(("first", 50)));
        assert_eq!(estimates, [("second", 150), ("first", 0)]);
    }

    #[test]
    fn failed_build_leaves_growth_to_the_other() {
        let mut builds = Builds::new();
        let first = builds.start(0);
        let second = builds.start(0);
        assert_eq!(builds.finish(first, 400, Some(("first", 50))), []);
        assert_eq!(builds.finish(second, 120, None), [("first", 70)]);
        assert!(!builds.is_running(second));
    }
}
