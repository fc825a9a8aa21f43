//! The load of a pool's model, on a thread of the caller's.

use std::sync::atomic::Ordering;

use super::build_places::BuildStep;
use super::builders::Builder;
use super::engine_threads::EngineThread;

/// The load of a pool's model. Made before its thread starts, so that the pool does not count as ended
/// in between; the pool has ended only once it is dropped.
pub struct LoadTurn {
    pub(super) builder: Builder,
    pub(super) _thread: EngineThread,
}

impl LoadTurn {
    /// Runs a load on the calling thread, once it has a place. The thread moves to the pool's cores for
    /// building, and from there to others when [`super::Pool::pin_builders`] says so. Returns `None`,
    /// without a load, if the pool is drained before.
    pub fn run<R>(self, load: impl FnOnce() -> R) -> Option<R> {
        self.builder.add_current_thread();
        let inner = self.builder.inner();
        let is_cancelled = || inner.is_draining.load(Ordering::SeqCst);
        let _place = inner.places.take(inner.id(), BuildStep::Build, &is_cancelled)?;
        let _listening = self.builder.listen();
        Some(load())
    }
}
