//! The interface between a user interface and a scheduler: snapshots out, changes in.

use std::sync::Arc;

use tokio::sync::watch;

use super::change_request::{ChangeOperation, ChangeRequest};
use crate::layout::{Change, Layout, Plan, Refusal};
use crate::telemetry::{Applied, Author, JournalEntry, Snapshot, StateVersion};

/// The operations that a console, a server or a file watcher has on a running scheduler.
///
/// No call waits without a bound: each that needs the scheduler's own thread ends with an error when
/// that thread has stopped, or has not answered within the limit that the implementation names (for
/// [`super::Scheduler`], [`super::Options::answer_limit`]).
pub trait Control: Send + Sync {
    /// The stream of snapshots; holds the newest. Ends when the scheduler has stopped.
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>>;

    /// Returns the version of the present state. For a change on the state that a caller has seen:
    /// take the version first, then read and plan, then send the request with the version.
    fn version(&self) -> StateVersion {
        self.snapshots().borrow().state_version
    }

    /// Returns what a change would do. Cheap enough to call on each move of the pointer.
    ///
    /// # Errors
    /// [`Refusal`] exactly when [`Control::apply`] would refuse the change now.
    fn plan(&self, change: &Change) -> Result<Plan, Refusal>;

    /// Carries out a request as one transaction. On return, masks have been set and read back, and no
    /// request starts above a new bound; builds continue in the background.
    ///
    /// # Errors
    /// [`Refusal`] if a row does not allow the change, the state has moved on from the expected
    /// version, or the scheduler is read-only, has stopped or does not answer. Nothing has changed
    /// then, unless the kind is [`crate::layout::RefusalKind::Unanswered`].
    fn request(&self, request: ChangeRequest) -> Result<Applied, Refusal>;

    /// Applies a change to any state.
    ///
    /// # Errors
    /// As [`Control::request`].
    fn apply(&self, change: Change, author: Author) -> Result<Applied, Refusal> {
        self.request(ChangeRequest::new(ChangeOperation::Apply(change), author))
    }

    /// Undoes the author's newest change that is not undone yet: restores the rows that it touched.
    /// Changes that divvy made itself (after a failed build, or a change of the machine) do not
    /// prevent this.
    ///
    /// # Errors
    /// As [`Control::request`]; also if there is none, a later change of another author touched
    /// one of the rows, or another row has reserved a core of a restored row.
    fn undo(&self, author: Author) -> Result<Applied, Refusal> {
        self.request(ChangeRequest::new(ChangeOperation::Undo, author))
    }

    /// Undoes the change of this number, whoever made it.
    ///
    /// # Errors
    /// As [`Control::undo`].
    fn undo_change(&self, id: u64, author: Author) -> Result<Applied, Refusal> {
        self.request(ChangeRequest::new(ChangeOperation::UndoChange(id), author))
    }

    /// Redoes the change that the author undid last, unless the author has made another one since.
    ///
    /// # Errors
    /// As [`Control::undo`].
    fn redo(&self, author: Author) -> Result<Applied, Refusal> {
        self.request(ChangeRequest::new(ChangeOperation::Redo, author))
    }

    /// Returns the whole journal of this run, oldest first; its entries are shared. If the scheduler
    /// has stopped or does not answer, returns only the entries of the newest snapshot.
    fn journal(&self) -> Vec<Arc<JournalEntry>>;

    /// Returns the live layout, as it would be saved.
    fn layout(&self) -> Layout;
}
