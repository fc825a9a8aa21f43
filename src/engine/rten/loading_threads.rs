//! The threads on which rten prepares the weights of all models that it loads. They outlive the loads.

use std::sync::OnceLock;

use crate::machine::{ThreadId, current_thread};

static THREADS: OnceLock<Vec<ThreadId>> = OnceLock::new();

/// Starts the threads, unless an earlier load has. They inherit the caller's affinity.
pub(super) fn start() {
    THREADS.get_or_init(|| rten::thread_pool().run(|| rayon::broadcast(|_| current_thread())));
}

/// Returns the threads; none before the first load.
pub(crate) fn loading_threads() -> Vec<ThreadId> {
    THREADS.get().cloned().unwrap_or_default()
}
