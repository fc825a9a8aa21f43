//! The limits of a running server, which a layout can change.

use std::sync::{PoisonError, RwLock};

use crate::layout::ServerLimits;

/// The limits in force. Requests read them; a change applies to requests and connections from then on.
#[derive(Debug, Default)]
pub(super) struct LiveLimits {
    current: RwLock<ServerLimits>,
}

impl LiveLimits {
    pub(super) fn new(limits: ServerLimits) -> Self {
        Self { current: RwLock::new(limits) }
    }

    /// Returns the limits.
    pub(super) fn get(&self) -> ServerLimits {
        *self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the limits.
    pub(super) fn set(&self, limits: ServerLimits) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }
}
