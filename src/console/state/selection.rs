//! Multiple selection of cores: a range by Shift with arrows or click, single cores by Ctrl with
//! click. Selected cores are dragged together, even if they have different owners.

use super::drag::DragItem;
use super::{ConsoleState, Pane};
use crate::layout::{CoreOwner, CoreSelection};
use crate::machine::{CoreId, CpuSet};

impl ConsoleState {
    /// Moves the selected core and extends the range to it.
    pub(super) fn extend(&mut self, by: i32) {
        if self.drag.is_some() {
            return;
        }
        if self.focus != Pane::Cores {
            self.focus = Pane::Cores;
            self.leave_cores();
            return self.step_core(0);
        }
        let from = self.anchor.or(self.core);
        self.step_core(by);
        self.anchor = from.or(self.core);
        self.pick_range();
    }

    /// Handles a click with Shift: selects all cores from the anchor to this one.
    pub(super) fn pick_to(&mut self, core: CoreId) {
        self.focus = Pane::Cores;
        self.anchor = self.anchor.or(self.core).or(Some(core));
        self.core = Some(core);
        self.pick_range();
    }

    /// Handles a click with Ctrl: adds the core to the selection, or removes it.
    pub(super) fn pick_too(&mut self, core: CoreId) {
        self.focus = Pane::Cores;
        if self.picked.contains(core) {
            self.picked.remove(core);
        } else {
            self.picked.insert(core);
        }
        self.core = Some(core);
        self.anchor = Some(core);
    }

    fn pick_range(&mut self) {
        // the range is in screen order
        let cores = self.cores_in_order();
        let place = |id: CoreId| cores.iter().position(|view| view.core.id == id);
        let (Some(from), Some(to)) = (self.anchor.and_then(place), self.core.and_then(place))
        else {
            return;
        };
        let range = from.min(to)..=from.max(to);
        self.picked = cores
            .iter()
            .enumerate()
            .filter(|(at, view)| range.contains(at) && view.allowed)
            .map(|(_, view)| view.core.id)
            .collect();
    }

    /// Clears the multiple selection.
    pub(super) fn leave_cores(&mut self) {
        self.picked = CpuSet::EMPTY;
        self.anchor = None;
    }

    /// Returns the drag item of a core: all selected cores if it is one of them.
    pub fn token_at(&self, core: CoreId) -> Option<DragItem> {
        if self.picked.contains(core) { self.picked_token() } else { self.core_token(core) }
    }

    /// Returns the drag item of the selected cores with their owners; `None` if this process
    /// may use none of them.
    pub fn picked_token(&self) -> Option<DragItem> {
        let mut parts: Vec<(CoreOwner, CpuSet)> = Vec::new();
        for core in self.picked.iter() {
            let Some(party) = self.core_party(core) else {
                continue;
            };
            match parts.iter_mut().find(|(other, _)| *other == party) {
                Some((_, cores)) => cores.insert(core),
                None => parts.push((party, CpuSet::single(core))),
            }
        }
        match parts.len() {
            0 | 1 => parts
                .pop()
                .map(|(from, cores)| DragItem::Cores { cores: CoreSelection::These(cores), from }),
            _ => Some(DragItem::Several(parts)),
        }
    }
}
