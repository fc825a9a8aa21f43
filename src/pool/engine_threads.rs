//! The number of threads of all pools that may be inside an engine.

use std::sync::atomic::{AtomicUsize, Ordering};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Returns the number of threads that load a model, build or run an instance, or free an engine's memory.
/// While there is one, the process must not run the destructors of the engines' libraries.
pub fn engine_threads() -> usize {
    COUNT.load(Ordering::SeqCst)
}

/// A thread that may be inside an engine, until this is dropped.
pub(super) struct EngineThread(());

impl EngineThread {
    pub(super) fn start() -> Self {
        COUNT.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for EngineThread {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::SeqCst);
    }
}
