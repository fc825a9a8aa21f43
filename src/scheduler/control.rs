//! The one door that a user interface has: snapshots out, changes in. The in-process scheduler is
//! its first implementation; nothing that draws knows pools.

use std::sync::Arc;

use tokio::sync::watch;

use crate::layout::{Change, Layout, Plan, Refusal};
use crate::telemetry::{Applied, Author, Entry, Snapshot};

/// What a console, a server or a file watcher may do with a running scheduler.
pub trait Control: Send + Sync {
    /// The stream of snapshots; holds the newest. Ends when the scheduler has stopped.
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>>;

    /// What a change would do. Cheap enough to call on each move of the pointer.
    ///
    /// # Errors
    /// [`Refusal`] exactly when [`Control::apply`] would refuse it now.
    fn plan(&self, change: &Change) -> Result<Plan, Refusal>;

    /// Applies a change as one transaction: when this returns, masks have been set and read back
    /// and no request starts above a new bound; builds go on in the background.
    ///
    /// # Errors
    /// [`Refusal`] when a row does not allow it or the scheduler is read-only. Nothing changed.
    fn apply(&self, change: Change, author: Author) -> Result<Applied, Refusal>;

    /// Takes back the newest change that is not taken back yet: restores the rows that it touched.
    /// What divvy did by itself since (a build that failed, a machine that changed) does not bar it.
    ///
    /// # Errors
    /// [`Refusal`] when there is none, or another row has a core reserved that one of those had.
    fn undo(&self, author: Author) -> Result<Applied, Refusal>;

    /// Does again what the newest undo took back.
    ///
    /// # Errors
    /// [`Refusal`] when there is none.
    fn redo(&self, author: Author) -> Result<Applied, Refusal>;

    /// The whole journal of this run, oldest first.
    fn journal(&self) -> Vec<Entry>;

    /// The live layout, as it would be saved.
    fn layout(&self) -> Layout;
}
