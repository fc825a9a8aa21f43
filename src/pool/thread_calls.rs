//! Calls that place a thread and are under way, so that the thread does not end during one.
//!
//! Such a call takes the number of a thread, which the kernel gives to another thread after the first has
//! ended. Comparing starts before each call would read a file per thread. A thread that is about to end
//! therefore leaves its set first, and then waits for the call that is under way for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::machine::ThreadId;

/// The longest time that a thread waits with its end while it is being placed. A call of the kernel takes
/// microseconds; the limit only keeps a call that hangs from keeping the thread.
const LONGEST_CALL: Duration = Duration::from_secs(10);

/// The calls under way for the threads of one set.
#[derive(Default)]
pub(super) struct ThreadCalls {
    state: Mutex<CallState>,
    /// Notified when a call has returned while a thread waits.
    returned: Condvar,
}

#[derive(Default)]
struct CallState {
    under_way: Vec<ThreadId>,
    /// Threads that wait for a call to return.
    waiting: usize,
}

impl ThreadCalls {
    fn lock(&self) -> MutexGuard<'_, CallState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call for a thread, unless it has left its set.
    pub(super) fn begin(
        &self,
        thread: ThreadId,
        is_in_set: impl FnOnce() -> bool,
    ) -> Option<ThreadCall<'_>> {
        self.lock().under_way.push(thread);
        let call = ThreadCall { calls: self, thread };
        // In this order: a thread that leaves after the question finds the call.
        is_in_set().then_some(call)
    }

    /// Waits until no call is under way for threads that have left their set, unless one hangs. Later
    /// calls find that they have left.
    pub(super) fn wait_for(&self, threads: &[ThreadId]) {
        let mut state = self.lock();
        state.waiting += 1;
        let is_called =
            |state: &mut CallState| state.under_way.iter().any(|id| threads.contains(id));
        let (mut state, _) = self
            .returned
            .wait_timeout_while(state, LONGEST_CALL, is_called)
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
    }
}

/// A call that is under way. Dropping it ends it.
pub(super) struct ThreadCall<'a> {
    calls: &'a ThreadCalls,
    thread: ThreadId,
}

impl Drop for ThreadCall<'_> {
    fn drop(&mut self) {
        let mut state = self.calls.lock();
        if let Some(at) = state.under_way.iter().position(|id| *id == self.thread) {
            state.under_way.swap_remove(at);
        }
        if state.waiting > 0 {
            self.calls.returned.notify_all();
        }
    }
}
