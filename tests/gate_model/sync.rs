//! The model checker's locks, atomics, channels and threads, under the names that the gate uses.

pub(crate) use shuttle::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering, fence,
};
pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard, mpsc};
pub(crate) use std::sync::PoisonError;

use shuttle::sync::Condvar;
use std::sync::TryLockError;

/// Few, so that seats reach the limit.
pub(crate) const MOST_HELD: usize = 1;

/// A thread to wake. shuttle's own `park` also returns without a reason, which an exhaustive check
/// would repeat for ever.
#[derive(Clone)]
pub(crate) struct Thread(Arc<(Mutex<bool>, Condvar)>);

shuttle::thread_local! {
    static CURRENT: Thread = Thread(Arc::default());
}

impl Thread {
    pub(crate) fn unpark(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
    }
}

pub(crate) fn wake_thread(thread: &Thread) {
    thread.unpark();
}

pub(crate) fn current() -> Thread {
    CURRENT.with(Thread::clone)
}

pub(crate) fn park() {
    let thread = current();
    let mut token = thread.0.0.lock().unwrap();
    while !*token {
        token = thread.0.1.wait(token).unwrap();
    }
    *token = false;
}

/// A wait without an end would be the same to the checker as none.
pub(crate) fn wait_briefly(_is_over: impl Fn() -> bool) {}

pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
