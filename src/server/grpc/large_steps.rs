//! Large steps of a call, which leave the runtime.
//!
//! tonic compresses and decompresses whole messages while it is polled. The code that hands it a large one ends
//! its poll first; the next poll, which comes at once, moves the other tasks of the thread to another one.

use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Context;

use crate::server::off_runtime::off_runtime;

/// The large steps of one call. Only one thread at a time polls a call.
#[derive(Default)]
pub(super) struct LargeSteps(AtomicU8);

/// The next poll has a large step.
const ANNOUNCED: u8 = 1;
/// This poll may take large steps.
const OFF_RUNTIME: u8 = 2;

impl LargeSteps {
    /// Polls a part of the call, off the runtime if a large step has been announced.
    pub(super) fn poll<T>(&self, poll: impl FnOnce() -> T) -> T {
        if self.0.load(Ordering::Relaxed) != ANNOUNCED {
            return poll();
        }
        self.0.store(OFF_RUNTIME, Ordering::Relaxed);
        let polled = off_runtime(usize::MAX, poll);
        if self.0.load(Ordering::Relaxed) == OFF_RUNTIME {
            self.0.store(0, Ordering::Relaxed);
        }
        polled
    }

    /// Announces a large step of the next poll.
    pub(super) fn announce(&self) {
        self.0.store(ANNOUNCED, Ordering::Relaxed);
    }

    /// Returns true if the poll must end before a large step. It announces the step and asks for the next poll.
    pub(super) fn end_poll(&self, context: &Context<'_>) -> bool {
        if self.0.load(Ordering::Relaxed) == OFF_RUNTIME {
            return false;
        }
        self.announce();
        context.waker().wake_by_ref();
        true
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn large_step_is_taken_in_the_next_poll() {
        let (steps, context) = (LargeSteps::default(), Context::from_waker(Waker::noop()));
        assert!(steps.poll(|| steps.end_poll(&context)));
        assert!(!steps.poll(|| steps.end_poll(&context)), "this poll may take it");
        assert!(steps.poll(|| steps.end_poll(&context)), "the one after it may not");
        steps.poll(|| steps.announce());
        assert!(!steps.poll(|| steps.end_poll(&context)), "the last poll announced it");
    }
}
