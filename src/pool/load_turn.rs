//! The load of a pool's model, on a thread of the caller's.

use super::builders::Builder;

/// The load of a pool's model. Made before its thread starts, so that the pool does not count as ended
/// in between; the pool has ended only once it is dropped.
pub struct LoadTurn {
    pub(super) builder: Builder,
}

impl LoadTurn {
    /// Runs a load on the calling thread, which moves to the pool's cores for building, and from there
    /// to others when [`super::Pool::pin_builders`] says so.
    pub fn run<R>(self, load: impl FnOnce() -> R) -> R {
        self.builder.add_current_thread();
        load()
    }
}
