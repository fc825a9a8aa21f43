//! The sessions of a model, and which of its instances keep the shared one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::lease::NarrowLease;
use super::session::OrtSession;
use crate::engine::InstanceSetup;

/// The sessions of a model.
pub(super) struct Sessions {
    /// The shared session while this model or one of its instances uses it.
    pub(super) narrow: Weak<NarrowLease>,
    /// Keeps the shared session for the next instance; `None` while only wider instances exist.
    pub(super) kept_narrow: Option<Arc<NarrowLease>>,
    /// Sessions of wider instances, and of those on a GPU, that may still be alive.
    pub(super) wide: Vec<Weak<OrtSession>>,
    /// The session that was built during the load, until an instance takes it.
    pub(super) first: Option<FirstSession>,
}

/// A session for one wide instance, or one on a GPU, that no instance uses yet.
pub(super) struct FirstSession {
    pub(super) setup: InstanceSetup,
    pub(super) session: Arc<OrtSession>,
}

impl Sessions {
    /// Returns the wide sessions that are alive.
    pub(super) fn live_wide(&mut self) -> Vec<Arc<OrtSession>> {
        self.wide.retain(|session| session.strong_count() > 0);
        self.wide.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Locks the sessions of a model.
pub(super) fn lock(sessions: &Mutex<Sessions>) -> MutexGuard<'_, Sessions> {
    // Nothing panics while the lock is held.
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One instance's use of the shared session. The last instance to end frees this model's part of it
/// if wide instances have taken over: nothing else would.
pub(super) struct NarrowUse {
    /// `None` only while it is dropped.
    lease: Option<Arc<NarrowLease>>,
    sessions: Arc<Mutex<Sessions>>,
}

impl NarrowUse {
    pub(super) fn new(lease: Arc<NarrowLease>, sessions: Arc<Mutex<Sessions>>) -> Self {
        Self { lease: Some(lease), sessions }
    }
}

impl Clone for NarrowUse {
    fn clone(&self) -> Self {
        Self { lease: self.lease.clone(), sessions: Arc::clone(&self.sessions) }
    }
}

impl Drop for NarrowUse {
    fn drop(&mut self) {
        let mut sessions = lock(&self.sessions);
        let has_wide = sessions.wide.iter().any(|session| session.strong_count() > 0);
        let kept = if has_wide { sessions.kept_narrow.take() } else { None };
        drop(sessions);
        // Both may end the session, which is slow: not under the lock.
        drop(kept);
        drop(self.lease.take());
    }
}
