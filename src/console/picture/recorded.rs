//! A recorded snapshot as a scheduler: it answers questions and refuses changes.

use std::sync::Arc;

use tokio::sync::watch;

use crate::layout::{Change, DesiredState, Layout, Plan, Refusal};
use crate::machine::Description;
use crate::scheduler::{ChangeRequest, Control};
use crate::telemetry::{Applied, JournalEntry, Snapshot};

/// A recorded snapshot with its desired state and its machine.
pub(super) struct RecordedControl {
    snapshot: Arc<Snapshot>,
    machine: Description,
    desired: DesiredState,
}

impl RecordedControl {
    /// Restores machine and desired state from a snapshot.
    ///
    /// # Errors
    /// [`Refusal`] if the rows of the snapshot cannot be placed on its cores.
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Result<Self, Refusal> {
        let mut machine = Description::uniform(snapshot.cores.len());
        machine.topology.cores = snapshot.cores.iter().map(|view| view.core.clone()).collect();
        machine.limits.allowed = snapshot.ledger.allowed;
        let models = snapshot.models.iter().map(|model| model.row.budget.clone()).collect();
        let layout = Layout { models, ..Layout::default() };
        let mut desired = DesiredState::resolve(&layout, &machine)?;
        // the recorded placement, which may differ from a new one
        desired.rows = snapshot.models.iter().map(|model| model.row.clone()).collect();
        Ok(Self { snapshot, machine, desired })
    }

    fn refusal() -> Refusal {
        Refusal::whole("a recorded run cannot be changed")
    }
}

impl Control for RecordedControl {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        watch::channel(self.snapshot.clone()).1
    }

    fn plan(&self, change: &Change) -> Result<Plan, Refusal> {
        self.desired.plan(change, &self.machine)
    }

    fn request(&self, _: ChangeRequest) -> Result<Applied, Refusal> {
        Err(Self::refusal())
    }

    fn journal(&self) -> Vec<Arc<JournalEntry>> {
        self.snapshot.changes.clone()
    }

    fn layout(&self) -> Layout {
        self.desired.layout()
    }
}
