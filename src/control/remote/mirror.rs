//! The state of a host as far as it is known here.

use std::sync::Arc;

use crate::layout::DesiredState;
use crate::machine::Description;
use crate::telemetry::{Applied, Snapshot, StateVersion};

/// The newest known state of a host, on which changes are planned.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    /// The version of the state.
    pub version: StateVersion,
    /// The rows.
    pub desired: Arc<DesiredState>,
    /// The machine.
    pub machine: Arc<Description>,
}

impl Mirror {
    /// The state that a host's first snapshot shows. `description` is that of the layout.
    pub(super) fn new(snapshot: &Snapshot, description: String, machine: Description) -> Self {
        let desired = Arc::new(rows_of(snapshot, description));
        let version = snapshot.state_version;
        let mut mirror = Self { version, desired, machine: Arc::new(machine) };
        mirror.follow_machine(snapshot);
        mirror
    }

    /// Takes in a snapshot, unless an answer was of a newer state. Returns true if the state has changed.
    pub(super) fn take_snapshot(&mut self, snapshot: &Snapshot) -> bool {
        self.follow_machine(snapshot);
        let is_newer = snapshot.state_version > self.version;
        if is_newer {
            let description = self.desired.description.clone();
            self.desired = Arc::new(rows_of(snapshot, description));
            self.version = snapshot.state_version;
        }
        is_newer
    }

    /// Takes in the state after a change of this client. Snapshots show it later.
    pub(super) fn take_applied(&mut self, applied: &Applied) {
        if applied.version > self.version {
            self.desired = Arc::new(applied.plan.after.clone());
            self.version = applied.version;
        }
    }

    /// Sets the description of the layout.
    pub(super) fn set_description(&mut self, description: String) {
        if self.desired.description != description {
            Arc::make_mut(&mut self.desired).description = description;
        }
    }

    /// Follows what can change while the host runs: its CPUs and its GPUs.
    fn follow_machine(&mut self, snapshot: &Snapshot) {
        let allowed = &snapshot.ledger.allowed;
        if !allowed.is_empty() && self.machine.limits.allowed != *allowed {
            Arc::make_mut(&mut self.machine).limits.allowed = *allowed;
        }
        let gpus = snapshot.gpu.known();
        if self.machine.gpus != gpus {
            Arc::make_mut(&mut self.machine).gpus = gpus;
        }
    }
}

fn rows_of(snapshot: &Snapshot, description: String) -> DesiredState {
    let rows = snapshot.models.iter().map(|model| model.row.clone()).collect();
    DesiredState::from_rows(description, rows)
}
