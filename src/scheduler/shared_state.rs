//! The part of the owner's state that callers read without a message to the owner.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use crate::layout::{DesiredState, Plan};
use crate::machine::Description;
use crate::pool::Client;
use crate::telemetry::StateVersion;

/// One published state.
#[derive(Clone, Default)]
pub(super) struct PublishedState {
    pub(super) version: StateVersion,
    pub(super) desired: Arc<DesiredState>,
    pub(super) machine: Arc<Description>,
    /// Duration of the last build, by model.
    pub(super) last_builds: Arc<BTreeMap<String, Duration>>,
    pub(super) clients: Arc<BTreeMap<String, Client>>,
}

impl PublishedState {
    /// Fills in how long the last build of each row of a plan took.
    pub(super) fn add_build_times(&self, plan: &mut Plan) {
        for row in &mut plan.rows {
            let took = self.last_builds.get(&row.model);
            row.last_build_us = took.map(|took| took.as_micros() as u64);
        }
    }
}

/// The shared cell of the published state. Its lock is held only to copy or replace one pointer: the
/// owner, which has a real-time priority, may have to wait for a reader that has lost its core.
#[derive(Clone)]
pub(super) struct SharedState(Arc<RwLock<Arc<PublishedState>>>);

impl SharedState {
    pub(super) fn new(first: PublishedState) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(first))))
    }

    pub(super) fn downgrade(&self) -> WeakSharedState {
        WeakSharedState(Arc::downgrade(&self.0))
    }

    pub(super) fn read(&self) -> Arc<PublishedState> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace(&self, state: PublishedState) {
        let mut state = Arc::new(state);
        // The old state is dropped after the lock.
        std::mem::swap(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), &mut state);
    }
}

/// The shared cell for holders that may outlive the scheduler.
#[derive(Clone)]
pub(super) struct WeakSharedState(Weak<RwLock<Arc<PublishedState>>>);

impl WeakSharedState {
    /// Returns the published state; `None` once the scheduler has been dropped.
    pub(super) fn read(&self) -> Option<Arc<PublishedState>> {
        self.0.upgrade().map(|state| SharedState(state).read())
    }
}
