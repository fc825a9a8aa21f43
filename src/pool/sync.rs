//! The locks, atomics and threads of the gate's protocol. The model checker compiles the gate's files
//! and `build.rs` with another module of this name.

pub(super) use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering, fence,
};
pub(super) use std::sync::mpsc;
pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
pub(super) use std::thread::{Thread, current, park};
