//! The bound on requests that wait for the owner.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The maximum number of waiting requests. Callers that withdraw a request and try again must not fill the memory
/// while the owner hangs.
pub(super) const MAX_WAITING: usize = 1024;

/// The number of waiting requests. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct WaitingCount(Arc<AtomicUsize>);

impl WaitingCount {
    /// Counts one more request; `None` if too many wait.
    pub(super) fn enter(&self) -> Option<WaitingSlot> {
        let slot = WaitingSlot(self.0.clone());
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        (before < MAX_WAITING).then_some(slot)
    }
}

/// One waiting request. Dropping it ends the wait.
#[derive(Debug)]
pub(super) struct WaitingSlot(Arc<AtomicUsize>);

impl Drop for WaitingSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
