//! The locks of the gate's protocol. The model checker compiles `gate.rs` and `build.rs` with
//! another module of this name.

pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
