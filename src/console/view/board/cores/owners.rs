//! The models on each core.

use crate::console::state::ConsoleState;
use crate::machine::CoreId;

/// The models on each core, looked up once per frame.
pub(in crate::console::view) struct CoreOwners {
    /// The cores with a model, ascending: a core occurs once per model.
    cores: Vec<CoreId>,
    /// The model of each entry of `cores`.
    models: Vec<usize>,
}

impl CoreOwners {
    /// Collects the models of each core, with the staged changes, by their index in the layout.
    pub(in crate::console::view) fn of(state: &ConsoleState) -> Self {
        let models = state.snapshot.models.iter().enumerate();
        let mut pairs: Vec<(CoreId, usize)> = models
            .flat_map(|(index, view)| {
                state.row_of(view).cores.iter().map(move |core| (core, index))
            })
            .collect();
        pairs.sort_unstable();
        let (cores, models) = pairs.into_iter().unzip();
        Self { cores, models }
    }

    /// Returns the models on a core, in layout order.
    pub(in crate::console::view) fn on(&self, core: CoreId) -> &[usize] {
        let start = self.cores.partition_point(|other| *other < core);
        let end = self.cores.partition_point(|other| *other <= core);
        self.models.get(start..end).unwrap_or_default()
    }
}
