//! Puts the memory table together, and holds models to their memory budgets.

use super::owner::Owner;
use super::slot::Slot;
use crate::engine::onnxruntime;
use crate::layout::Row;
use crate::machine::allocation;
use crate::machine::resident::{Resident, baseline, resident};
use crate::pool::PoolMemory;
use crate::telemetry::{MemoryRow, MemoryTable};

impl Owner {
    /// Lets models that are above their budgets give back what they can while they are idle.
    pub(super) fn shrink_idle(&self) {
        for slot in self.slots.values() {
            slot.pool.shrink();
        }
    }

    /// Where the process's memory is, given its resident set.
    pub(super) fn memory_table(&self, process: u64) -> MemoryTable {
        let baseline = baseline();
        let now = resident().unwrap_or_default();
        let Resident { total, files } = baseline.resident;
        let own = allocation::own_bytes().unwrap_or(0);
        let models: Vec<MemoryRow> = self
            .desired
            .rows
            .iter()
            .filter_map(|row| Some(memory_row(row, self.slots.get(&row.budget.name)?)))
            .collect();
        // prepared requests are the program's for the allocator, and the models' here
        let prepared: u64 = models.iter().map(|model| model.prepared_bytes).sum();
        MemoryTable {
            process_bytes: process,
            baseline_bytes: total.min(process),
            files_bytes: now.files.saturating_sub(files),
            engines_bytes: onnxruntime::start_bytes(),
            program_bytes: own.saturating_sub(baseline.own).saturating_sub(prepared),
            models,
            ..MemoryTable::default()
        }
        .summed()
    }
}

fn memory_row(row: &Row, slot: &Slot) -> MemoryRow {
    let PoolMemory { engine, requests, limit, over } = slot.pool.memory();
    let seats = slot.pool.seats();
    MemoryRow {
        model: row.budget.name.clone(),
        weights_bytes: engine.weights,
        weights_source: engine.weights_source,
        copies: engine.copies,
        instances: seats.serving + seats.others,
        arena_bytes: engine.arena,
        arena_source: engine.arena_source,
        requests_bytes: requests,
        prepared_bytes: slot.requests.bytes(),
        limit_bytes: limit,
        over,
    }
}
