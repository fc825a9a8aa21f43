//! The models on each core.

use crate::console::state::ConsoleState;
use crate::machine::CoreId;

/// The models on each core, looked up once per frame.
pub(in crate::console::view) struct CoreOwners(Vec<Vec<usize>>);

impl CoreOwners {
    /// Collects the models of each core, with the staged changes, by their index in the layout.
    pub(in crate::console::view) fn of(state: &ConsoleState) -> Self {
        let mut owners: Vec<Vec<usize>> = Vec::new();
        for (index, view) in state.snapshot.models.iter().enumerate() {
            for core in state.row_of(view).cores.iter() {
                let at = usize::from(core.0);
                if owners.len() <= at {
                    owners.resize_with(at + 1, Vec::new);
                }
                if let Some(models) = owners.get_mut(at) {
                    models.push(index);
                }
            }
        }
        Self(owners)
    }

    /// Returns the models on a core, in layout order.
    pub(in crate::console::view) fn on(&self, core: CoreId) -> &[usize] {
        self.0.get(usize::from(core.0)).map_or(&[], Vec::as_slice)
    }
}
