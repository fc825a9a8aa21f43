//! Threads that an engine starts on behalf of another thread.
//!
//! The engine's threads exist from the beginning of a build, which can take minutes. Whoever places the
//! building thread listens, so that it can place these threads at any time.

use std::cell::RefCell;
use std::sync::Arc;

use super::thread_id::ThreadId;

/// Receives the threads that an engine starts on behalf of a thread.
pub(crate) trait ThreadListener: Send + Sync {
    /// Records a started thread. Called on that thread, before it does any work.
    fn started(&self, thread: ThreadId);

    /// Removes a thread. Called on that thread, before it ends.
    fn ending(&self, thread: ThreadId);
}

thread_local! {
    static LISTENER: RefCell<Option<Arc<dyn ThreadListener>>> = const { RefCell::new(None) };
}

/// A listener in force for the calling thread. Dropping it ends that.
pub(crate) struct Listening(Option<Arc<dyn ThreadListener>>);

impl Listening {
    /// Reports the threads that engines start on behalf of the calling thread to `listener`.
    pub(crate) fn start(listener: Arc<dyn ThreadListener>) -> Self {
        Self(LISTENER.replace(Some(listener)))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        LISTENER.set(self.0.take());
    }
}

/// Starts of threads on behalf of the thread that made this.
#[derive(Clone)]
pub(crate) struct ThreadStarts(Option<Arc<dyn ThreadListener>>);

impl ThreadStarts {
    /// The starts on behalf of the calling thread.
    pub(crate) fn of_this_thread() -> Self {
        Self(LISTENER.with_borrow(Clone::clone))
    }

    /// Reports a started thread. Call it on that thread and keep the result until the thread ends.
    pub(crate) fn begin(self, thread: ThreadId) -> StartedThread {
        if let Some(listener) = &self.0 {
            listener.started(thread);
        }
        StartedThread { listener: self.0, thread }
    }
}

/// A reported thread. Dropping it reports the end of the thread.
pub(crate) struct StartedThread {
    listener: Option<Arc<dyn ThreadListener>>,
    thread: ThreadId,
}

impl Drop for StartedThread {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.ending(self.thread);
        }
    }
}
