//! The interface between a user interface and a scheduler: snapshots out, changes in.

use std::sync::Arc;

use tokio::sync::watch;

use crate::layout::{Change, Layout, Plan, Refusal};
use crate::telemetry::{Applied, Author, JournalEntry, Snapshot};

/// The operations that a console, a server or a file watcher has on a running scheduler.
pub trait Control: Send + Sync {
    /// The stream of snapshots; holds the newest. Ends when the scheduler has stopped.
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>>;

    /// Returns what a change would do. Cheap enough to call on each move of the pointer.
    ///
    /// # Errors
    /// [`Refusal`] exactly when [`Control::apply`] would refuse the change now.
    fn plan(&self, change: &Change) -> Result<Plan, Refusal>;

    /// Applies a change as one transaction. On return, masks have been set and read back, and no
    /// request starts above a new bound; builds continue in the background.
    ///
    /// # Errors
    /// [`Refusal`] if a row does not allow the change or the scheduler is read-only. Nothing has
    /// changed then.
    fn apply(&self, change: Change, author: Author) -> Result<Applied, Refusal>;

    /// Undoes the newest change that is not undone yet: restores the rows that it touched. Changes
    /// that divvy made itself (after a failed build, or a change of the machine) do not prevent
    /// this.
    ///
    /// # Errors
    /// [`Refusal`] if there is none, or another row has reserved a core of a restored row.
    fn undo(&self, author: Author) -> Result<Applied, Refusal>;

    /// Redoes the newest undone change.
    ///
    /// # Errors
    /// [`Refusal`] if there is none.
    fn redo(&self, author: Author) -> Result<Applied, Refusal>;

    /// Returns the whole journal of this run, oldest first; its entries are shared.
    fn journal(&self) -> Vec<Arc<JournalEntry>>;

    /// Returns the live layout, as it would be saved.
    fn layout(&self) -> Layout;
}
