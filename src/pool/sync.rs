//! The locks, atomics, threads and limits of the gate's protocol. The model checker compiles the gate's files
//! and `build.rs` with another module of this name.

pub(super) use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering, fence,
};
pub(super) use std::sync::mpsc;
pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
pub(super) use std::thread::{Thread, current, park};

pub(super) use super::wake_batch::wake_thread;

use std::sync::TryLockError;
use std::time::{Duration, Instant};

/// Held jobs beyond which seats look for no further job while others run: each of these jobs is taken and
/// held again after each release.
pub(super) const MOST_HELD: usize = 16;

/// Attempts of [`lock`] before it sleeps: together about as long as a system call.
const ATTEMPTS: u32 = 64;

/// Returns the lock if it is free.
pub(super) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        // No code that can panic runs under these locks, so a poisoned one is still consistent.
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Waits for a lock that is held for less time than a system call takes: awake at first.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    for _ in 0..ATTEMPTS {
        if let Some(guard) = try_lock(mutex) {
            return guard;
        }
        for _ in 0..4 {
            std::hint::spin_loop();
        }
    }
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The longest wait of [`wait_briefly`]: less than it takes to sleep and to be woken.
const BRIEFLY: Duration = Duration::from_micros(2);

/// Waits awake for a few microseconds, until `is_over`. It does not yield: where other
/// threads want the core, the job would then wait for the end of their time slices, whereas a thread that
/// sleeps gets the core soon after it is woken.
pub(super) fn wait_briefly(is_over: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_over() && start.elapsed() < BRIEFLY {
        for _ in 0..8 {
            std::hint::spin_loop();
        }
    }
}
