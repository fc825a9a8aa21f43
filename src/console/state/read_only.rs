//! Rows that divvy can show but not change, such as another user's processes: changes of them are
//! refused here, before the scheduler refuses them.

use super::console_state::ConsoleState;
use super::drag::DragItem;
use crate::layout::{Change, CoreOwner, Edit, Refusal};

impl ConsoleState {
    /// Returns the refusal of a change that places a read-only row or sets a weight that cannot be
    /// enforced; `None` if no row of the change is known to refuse it.
    pub(super) fn read_only_refusal(&self, change: &Change) -> Option<Refusal> {
        change.edits.iter().find_map(|edit| match edit {
            Edit::TransferCores { from, to, .. } => {
                self.placing_refusal(from).or_else(|| self.placing_refusal(to))
            }
            Edit::SetCores { model, .. }
            | Edit::SetReserve { model, .. }
            | Edit::SetMemory { model, .. } => self.row_refusal(model),
            Edit::SetWeight { model, .. } => {
                self.row_refusal(model).or_else(|| self.weight_refusal(model))
            }
            _ => None,
        })
    }

    /// Returns the refusal of a drag of an item that comes from a read-only row.
    pub(super) fn lift_refusal(&self, item: &DragItem) -> Option<Refusal> {
        match item {
            DragItem::Cores { from, .. } => self.placing_refusal(from),
            DragItem::Several(parts) => {
                parts.iter().find_map(|(from, _)| self.placing_refusal(from))
            }
            DragItem::Instances { .. } | DragItem::Gpu { .. } | DragItem::Placed { .. } => None,
        }
    }

    /// Returns the refusal of a change of a row's cores; `None` for the free cores.
    pub(super) fn placing_refusal(&self, owner: &CoreOwner) -> Option<Refusal> {
        match owner {
            CoreOwner::Model(name) => self.row_refusal(name),
            CoreOwner::Free => None,
        }
    }

    fn row_refusal(&self, name: &str) -> Option<Refusal> {
        let reason = self.snapshot.model(name)?.read_only()?;
        Some(Refusal::row(name, format!("cannot be changed: {reason}")))
    }

    fn weight_refusal(&self, name: &str) -> Option<Refusal> {
        let reason = self.snapshot.model(name)?.weight_refused()?;
        Some(Refusal::row(name, format!("cannot have a weight: {reason}")))
    }
}
