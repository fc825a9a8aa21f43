//! Requests for changes. Each is claimed once: by the owner, or by a caller that withdraws it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::layout::Change;
use crate::telemetry::{Author, StateVersion};

/// The operation of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeOperation {
    /// Apply a change.
    Apply(Change),
    /// Undo the author's newest change that is not undone yet.
    Undo,
    /// Undo the change of this number, whoever made it.
    UndoChange(u64),
    /// Redo the change that the author undid last.
    Redo,
}

/// A request for a change.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeRequest {
    /// The operation.
    pub operation: ChangeOperation,
    /// The author, for the journal.
    pub author: Author,
    /// The version of the state on which the operation was decided: if the state has another one by
    /// now, the request is refused. `None` for any state.
    pub expected: Option<StateVersion>,
}

impl ChangeRequest {
    /// A request for an operation on any state.
    pub fn new(operation: ChangeOperation, author: Author) -> Self {
        Self { operation, author, expected: None }
    }

    /// The same request, only for this version of the state.
    #[must_use]
    pub fn expecting(self, version: StateVersion) -> Self {
        Self { expected: Some(version), ..self }
    }
}

/// A claim on a request: of the owner, which carries it out, or of the caller, which withdraws it.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestClaim(Arc<AtomicBool>);

impl RequestClaim {
    /// Claims the request. Returns true for the first claim only.
    pub(super) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}
