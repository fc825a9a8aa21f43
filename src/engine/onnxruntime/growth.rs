//! What a session takes of the heap beside its weights: the library keeps no account of graphs and
//! kernels, so it is estimated from how the heap grows while the session is built.
//!
//! Builds overlap when a layout is loaded. Between two begins or ends the growth is shared evenly among
//! those that are under way; when the last of them has ended, the shares are scaled to what was then
//! really left, since a build frees much of what it took at first. What our own allocator has counted
//! and what the arenas of other sessions hold is taken out; what else they take or free meanwhile is
//! not, hence an estimate.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::memory;
use super::session::OrtSession;
use crate::machine::allocation;

static BUILDS: Mutex<Builds<Weak<OrtSession>>> = Mutex::new(Builds::new());

/// Every session that may still be alive.
static SESSIONS: Mutex<Vec<Weak<OrtSession>>> = Mutex::new(Vec::new());

/// Builds since the last moment at which none was under way.
struct Builds<S> {
    next: u64,
    /// The heap at the last begin or end, in bytes.
    last: i64,
    /// By how much the heap has grown since that moment.
    growth: i64,
    open: Vec<Open>,
    ended: Vec<Ended<S>>,
}

struct Open {
    id: u64,
    /// Its share of the growth so far, in bytes; below 0 where the heap has shrunk.
    share: i64,
}

struct Ended<S> {
    session: S,
    weights: i64,
    /// Its share beside the weights.
    graph: i64,
}

/// A build that is under way. Dropping it forgets it.
pub(super) struct Growth {
    id: u64,
}

impl Growth {
    /// Begins.
    pub(super) fn begin() -> Self {
        let mut builds = builds();
        Self { id: builds.begin(foreign()) }
    }

    /// Ends, and tells the session what the heap has grown for it beyond its weights; builds that
    /// overlapped with it are told anew. Nothing where the system keeps no such statistics. What the
    /// session's arena takes from now on is known to be its own.
    pub(super) fn end(self, session: &Arc<OrtSession>, weights: u64) {
        let mut builds = builds();
        let told = builds.end(self.id, foreign(), Arc::downgrade(session), weights.cast_signed());
        sessions().push(Arc::downgrade(session));
        builds.last = foreign();
        for (session, graph) in told {
            if let Some(session) = session.upgrade() {
                session.set_graph(graph);
            }
        }
    }
}

impl Drop for Growth {
    fn drop(&mut self) {
        builds().open.retain(|build| build.id != self.id);
    }
}

fn builds() -> MutexGuard<'static, Builds<Weak<OrtSession>>> {
    // nothing panics while it is held
    BUILDS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sessions() -> MutexGuard<'static, Vec<Weak<OrtSession>>> {
    SESSIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The heap in use that neither our own allocator nor an arena explains.
fn foreign() -> i64 {
    let mut sessions = sessions();
    sessions.retain(|session| session.strong_count() > 0);
    let live: Vec<_> = sessions.iter().filter_map(Weak::upgrade).collect();
    // one of them may end here, which takes its time
    drop(sessions);
    let arenas: u64 =
        live.iter().filter_map(|session| memory::arena(session)).map(|arena| arena.taken).sum();
    let in_use = allocation::heap().map_or(0, |heap| heap.in_use());
    in_use.cast_signed() - (allocation::counted_bytes() + arenas).cast_signed()
}

impl<S: Clone> Builds<S> {
    const fn new() -> Self {
        Self { next: 0, last: 0, growth: 0, open: Vec::new(), ended: Vec::new() }
    }

    /// Begins a build with the heap at `now`.
    fn begin(&mut self, now: i64) -> u64 {
        self.settle(now);
        if self.open.is_empty() {
            self.growth = 0;
            self.ended.clear();
        }
        self.next += 1;
        self.open.push(Open { id: self.next, share: 0 });
        self.next
    }

    /// Ends a build with the heap at `now`; gives whose graph is estimated to hold how much.
    fn end(&mut self, id: u64, now: i64, session: S, weights: i64) -> Vec<(S, u64)> {
        self.settle(now);
        let share = self.open.iter().find(|build| build.id == id).map_or(0, |build| build.share);
        self.open.retain(|build| build.id != id);
        self.ended.push(Ended { session, weights, graph: (share - weights).max(0) });
        let sum: i64 = self.ended.iter().map(|ended| ended.graph).sum();
        let weights: i64 = self.ended.iter().map(|ended| ended.weights).sum();
        let left = if self.open.is_empty() { (self.growth - weights).max(0) } else { sum };
        let scale = if sum > 0 { left as f64 / sum as f64 } else { 0.0 };
        let told = |ended: &Ended<S>| (ended.session.clone(), (ended.graph as f64 * scale) as u64);
        self.ended.iter().map(told).collect()
    }

    /// Shares what the heap has grown since the last call.
    fn settle(&mut self, now: i64) {
        let growth = now - self.last;
        self.last = now;
        self.growth += growth;
        let count = self.open.len() as i64;
        self.open.iter_mut().for_each(|build| build.share += growth / count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_alone_is_told_what_the_heap_grew_beyond_its_weights() {
        let mut builds = Builds::new();
        let first = builds.begin(1000);
        assert_eq!(builds.end(first, 1100, "first", 60), [("first", 40)]);
        // between two builds the heap may do what it likes
        let second = builds.begin(9000);
        assert_eq!(builds.end(second, 9100, "second", 0), [("second", 100)]);
        let third = builds.begin(9000);
        assert_eq!(builds.end(third, 8000, "third", 10), [("third", 0)], "never below");
    }

    #[test]
    fn builds_that_overlap_are_scaled_to_what_is_left_when_all_have_ended() {
        let mut builds = Builds::new();
        let first = builds.begin(0);
        let second = builds.begin(400);
        // both have taken much for now
        assert_eq!(builds.end(second, 1000, "second", 100), [("second", 200)]);
        // and the first has freed most of it at its end: 150 of graphs are left, beside weights
        let told = builds.end(first, 300, "first", 50);
        assert_eq!(told, [("second", 150), ("first", 0)]);
        assert_eq!(told.iter().map(|(_, graph)| graph).sum::<u64>(), 150);
    }
}
