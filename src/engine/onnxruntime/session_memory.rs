//! The memory of several sessions together.

use std::iter::Sum;

use super::session::OrtSession;

/// The memory of sessions, in bytes.
pub(super) struct SessionMemory {
    pub(super) weights: u64,
    /// True if the weights of some session are taken from the file's size.
    pub(super) is_estimated: bool,
    pub(super) graph: u64,
    /// `None` if the library does not report it.
    pub(super) arena: Option<u64>,
    pub(super) untouched: u64,
}

impl Default for SessionMemory {
    fn default() -> Self {
        Self { weights: 0, is_estimated: false, graph: 0, arena: Some(0), untouched: 0 }
    }
}

impl SessionMemory {
    /// Returns the memory of one session.
    pub(super) fn of(session: &OrtSession) -> Self {
        let raw = &session.raw;
        let in_arena = raw.weights();
        // The library keeps weights in its arena only if a kernel rearranges them. On a GPU they are
        // not in the machine's memory.
        let in_file = if raw.device().is_some() { 0 } else { session.file.weight_bytes };
        let in_arena = in_arena.filter(|_| raw.device().is_none());
        let arena = raw.arena_growth();
        Self {
            weights: in_arena.unwrap_or(0).max(in_file),
            is_estimated: raw.device().is_none() && in_arena.is_none_or(|bytes| bytes < in_file),
            graph: raw.graph(),
            arena: arena.map(|arena| arena.allocated - arena.untouched),
            untouched: arena.map_or(0, |arena| arena.untouched),
        }
    }
}

impl Sum for SessionMemory {
    fn sum<I: Iterator<Item = Self>>(sessions: I) -> Self {
        sessions.fold(Self::default(), |sum, session| Self {
            weights: sum.weights + session.weights,
            is_estimated: sum.is_estimated || session.is_estimated,
            graph: sum.graph + session.graph,
            arena: sum.arena.zip(session.arena).map(|(a, b)| a + b),
            untouched: sum.untouched + session.untouched,
        })
    }
}
