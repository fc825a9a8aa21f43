//! The latency windows of all models as of the last sample.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::layout::Row;
use crate::scheduler::slot::{Slot, Slots};
use crate::telemetry::Windows;

/// The windows of each model. Making them is most of the work for a snapshot, so a snapshot between two
/// samples, which shows a change, makes only those of the rows that changed.
#[derive(Default)]
pub(super) struct WindowCache(BTreeMap<u64, CachedWindows>);

struct CachedWindows {
    /// The generation of the row.
    row: u64,
    windows: Windows,
}

impl WindowCache {
    /// Drops all windows: a new sample is taken.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Drops the windows of models that are gone.
    pub(super) fn retain(&mut self, slots: &Slots) {
        if self.0.len() > slots.len() {
            self.0.retain(|generation, _| slots.name_of_generation(*generation).is_some());
        }
    }

    /// Returns the windows of a model.
    pub(super) fn get(&mut self, row: &Row, slot: &Slot, now: Instant) -> Windows {
        if let Some(cached) = self.0.get(&slot.generation)
            && cached.row == row.generation
        {
            return cached.windows.clone();
        }
        let recorder = slot.workload.recorder();
        let windows = recorder.map(|recorder| recorder.windows(now, row.budget.slo.as_ref()));
        let windows = windows.unwrap_or_default();
        let cached = CachedWindows { row: row.generation, windows: windows.clone() };
        self.0.insert(slot.generation, cached);
        windows
    }
}
