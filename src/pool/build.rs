//! A batch of instances that are built together. It takes over as a whole once the last instance is
//! ready, or is abandoned as a whole if one fails.
//!
//! A generation that does not serve yet has one batch, which grows when more instances are needed, so
//! that it never takes over with only a part of them. It shrinks by instances whose build has not
//! started when fewer are needed. The model checker compiles this file too.

use std::time::Instant;

use super::event::{BatchId, BuildReport, PoolEvent};
use super::inner::Inner;
use super::sync::{Mutex, MutexGuard, PoisonError};
use crate::engine::InstanceSetup;

/// A batch of instances.
pub(crate) struct Build {
    id: BatchId,
    setup: InstanceSetup,
    /// Locked until the gate serves the batch, so that a batch that is seen as complete also serves.
    state: Mutex<State>,
    started: Instant,
}

#[derive(Clone, Copy)]
struct State {
    /// Instances whose build has started.
    started: usize,
    ready: usize,
    total: usize,
    over: bool,
}

impl Build {
    /// Returns a batch of `total` instances for a generation of the gate.
    pub(crate) fn new(id: BatchId, setup: InstanceSetup, total: usize) -> Self {
        let state = Mutex::new(State { started: 0, ready: 0, total, over: false });
        Self { id, setup, state, started: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of the batch, and the gate's generation of the instances.
    pub(crate) fn id(&self) -> BatchId {
        self.id
    }

    /// Returns the setup of the instances.
    pub(crate) fn setup(&self) -> InstanceSetup {
        self.setup
    }

    /// Returns the ready instances and all instances; `None` if the batch is over.
    pub(crate) fn progress(&self) -> Option<(usize, usize)> {
        let state = *self.lock();
        (!state.over).then_some((state.ready, state.total))
    }

    /// Adds `more` instances to the batch. Returns false if it is over and nothing was added.
    pub(crate) fn extend(&self, more: usize) -> bool {
        let mut state = self.lock();
        if !state.over {
            state.total += more;
        }
        !state.over
    }

    /// Lowers the number of instances to `total`, or to those whose build has started if these are more.
    pub(crate) fn shrink(&self, inner: &Inner, total: usize) {
        let mut state = self.lock();
        if state.over {
            return;
        }
        state.total = total.clamp(state.started, state.total);
        self.serve_if_complete(inner, state);
        inner.wake_builders();
    }

    /// Returns true if the build of an instance is still to start.
    pub(crate) fn needs_more(&self) -> bool {
        let state = self.lock();
        !state.over && state.started < state.total
    }

    /// Returns true if an instance may be built now, and counts it as started.
    pub(crate) fn start(&self) -> bool {
        let mut state = self.lock();
        let may_start = !state.over && state.started < state.total;
        state.started += usize::from(may_start);
        may_start
    }

    /// Returns true if the batch serves, was superseded, or has failed.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Records that an instance is ready and has its seat. The last one makes the generation serve.
    pub(crate) fn ready(&self, inner: &Inner) {
        let mut state = self.lock();
        state.ready += 1;
        self.serve_if_complete(inner, state);
    }

    fn serve_if_complete(&self, inner: &Inner, mut state: MutexGuard<'_, State>) {
        if state.over || state.ready < state.total {
            return;
        }
        state.over = true;
        let serves = inner.gate.serve(self.id.generation);
        drop(state);
        if serves {
            inner.report(PoolEvent::Built(BuildReport {
                id: self.id,
                setup: self.setup,
                took: self.started.elapsed(),
            }));
        }
    }

    /// Records that an instance could not be built, and abandons the whole batch, once.
    pub(crate) fn fail(&self, inner: &Inner, reason: String) {
        if self.give_up(inner) {
            inner.report(PoolEvent::BuildFailed { id: self.id, setup: self.setup, reason });
        }
    }

    /// Records that a newer batch replaces this one.
    pub(crate) fn supersede(&self, inner: &Inner) {
        self.give_up(inner);
    }

    fn give_up(&self, inner: &Inner) -> bool {
        let mut state = self.lock();
        if state.over {
            return false;
        }
        state.over = true;
        inner.gate.abandon(self.id.generation);
        drop(state);
        // Those of the batch that wait for a place end now.
        inner.wake_builders();
        true
    }
}
