//! The locks that the gate's protocol stands on, in one place: the model checker compiles
//! `gate.rs` and `build.rs` with another module of this name.

pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
