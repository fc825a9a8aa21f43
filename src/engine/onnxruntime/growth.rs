//! What a session takes of the heap beside its weights: the library keeps no account of graphs and
//! kernels, so it is estimated from how the heap grows while the session is built.
//!
//! Builds overlap when a layout is loaded. Between two begins or ends the growth is shared evenly among
//! those that are under way; when the last of them has ended, the shares are scaled to what is then
//! really left, since a build frees much of what it took at first, and told. What our own allocator has counted
//! and what the arenas of other sessions hold is taken out; what else they take or free meanwhile is
//! not, hence an estimate.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::memory;
use super::session::OrtSession;
use crate::machine::allocation;

static METER: Mutex<Meter> = Mutex::new(Meter { builds: Builds::new(), sessions: Vec::new() });

struct Meter {
    builds: Builds<Weak<OrtSession>>,
    /// Every session that may still be alive.
    sessions: Vec<Weak<OrtSession>>,
}

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
        let mut met = Vec::new();
        let mut meter = meter();
        let now = meter.foreign(&mut met);
        Self { id: meter.builds.begin(now) }
    }

    /// Ends. Once no other build is under way, the session and those that were built beside it are
    /// told what the heap has grown for them beyond their weights; until then they count nothing, as
    /// where the system keeps no such statistics. What the session's arena takes from now on is
    /// known to be its own.
    pub(super) fn end(self, session: &Arc<OrtSession>, weights: u64) {
        let mut met = Vec::new();
        let mut meter = meter();
        let now = meter.foreign(&mut met);
        let (session, weights) = (Arc::downgrade(session), weights.cast_signed());
        let told = meter.builds.end(self.id, now, Some((session.clone(), weights)));
        meter.sessions.push(session);
        meter.builds.last = meter.foreign(&mut met);
        tell(told);
    }
}

impl Drop for Growth {
    /// The build failed, where it has not ended.
    fn drop(&mut self) {
        let mut met = Vec::new();
        let mut meter = meter();
        if meter.builds.is_open(self.id) {
            let now = meter.foreign(&mut met);
            tell(meter.builds.end(self.id, now, None));
        }
    }
}

fn meter() -> MutexGuard<'static, Meter> {
    // nothing panics while it is held
    METER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell(graphs: Vec<(Weak<OrtSession>, u64)>) {
    for (session, graph) in graphs {
        if let Some(session) = session.upgrade() {
            session.set_graph(graph);
        }
    }
}

impl Meter {
    /// The heap in use that neither our own allocator nor an arena explains. `met` gets the sessions
    /// that were asked, to be dropped when the meter is free again: one of them may end with that,
    /// which takes its time.
    fn foreign(&mut self, met: &mut Vec<Arc<OrtSession>>) -> i64 {
        self.sessions.retain(|session| session.strong_count() > 0);
        let begin = met.len();
        met.extend(self.sessions.iter().filter_map(Weak::upgrade));
        let live = met.iter().skip(begin);
        let arenas = live.filter_map(|session| memory::arena(session));
        let arenas: u64 = arenas.map(|arena| arena.taken).sum();
        let in_use = allocation::heap().map_or(0, |heap| heap.in_use());
        in_use.cast_signed() - (allocation::counted_bytes() + arenas).cast_signed()
    }
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

    fn is_open(&self, id: u64) -> bool {
        self.open.iter().any(|build| build.id == id)
    }

    /// Ends a build with the heap at `now`, with its session and the bytes of its weights, or with
    /// none where it failed. When it was the last one that was under way, gives whose graph is
    /// estimated to hold how much; before that a share holds what a build frees at its end.
    fn end(&mut self, id: u64, now: i64, built: Option<(S, i64)>) -> Vec<(S, u64)> {
        self.settle(now);
        let share = self.open.iter().find(|build| build.id == id).map_or(0, |build| build.share);
        self.open.retain(|build| build.id != id);
        if let Some((session, weights)) = built {
            self.ended.push(Ended { session, weights, graph: (share - weights).max(0) });
        }
        if !self.open.is_empty() {
            return Vec::new();
        }
        let sum: i64 = self.ended.iter().map(|ended| ended.graph).sum();
        let weights: i64 = self.ended.iter().map(|ended| ended.weights).sum();
        let left = (self.growth - weights).max(0);
        let scale = if sum > 0 { left as f64 / sum as f64 } else { 0.0 };
        let told = |ended: Ended<S>| (ended.session, (ended.graph as f64 * scale) as u64);
        self.ended.drain(..).map(told).collect()
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
        assert_eq!(builds.end(first, 1100, Some(("first", 60))), [("first", 40)]);
        // between two builds the heap may do what it likes
        let second = builds.begin(9000);
        assert_eq!(builds.end(second, 9100, Some(("second", 0))), [("second", 100)]);
        let third = builds.begin(9000);
        assert_eq!(builds.end(third, 8000, Some(("third", 10))), [("third", 0)], "never below");
    }

    #[test]
    fn builds_that_overlap_are_told_what_is_left_when_all_have_ended() {
        let mut builds = Builds::new();
        let first = builds.begin(0);
        let second = builds.begin(400);
        // both have taken much for now: nothing is told that a budget could be held against
        assert_eq!(builds.end(second, 1000, Some(("second", 100))), []);
        // and the first has freed most of it at its end: 150 of graphs are left, beside weights
        let told = builds.end(first, 300, Some(("first", 50)));
        assert_eq!(told, [("second", 150), ("first", 0)]);
    }

    #[test]
    fn a_build_that_fails_beside_another_leaves_it_what_is_really_left() {
        let mut builds = Builds::new();
        let first = builds.begin(0);
        let second = builds.begin(0);
        assert_eq!(builds.end(first, 400, Some(("first", 50))), []);
        assert_eq!(builds.end(second, 120, None), [("first", 70)]);
        assert!(!builds.is_open(second));
    }
}
