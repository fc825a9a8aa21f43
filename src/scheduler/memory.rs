//! Puts the memory table together, and holds models to their memory budgets.

use std::time::{Duration, Instant};

use super::observer::Observer;
use super::slot::Slot;
use crate::engine::onnxruntime;
use crate::layout::Row;
use crate::machine::allocation;
use crate::machine::resident::{Resident, baseline, kept, resident};
use crate::pool::PoolMemory;
use crate::telemetry::{MemoryRow, MemoryTable};

/// How often the heap's statistics are asked for: it costs some milliseconds.
const HEAP_INTERVAL: Duration = Duration::from_secs(2);

impl Observer {
    /// Lets models that are above their budgets give back what they can while they are idle.
    pub(super) fn shrink_idle(&self) {
        for slot in self.scene.slots.values() {
            slot.pool.shrink();
        }
    }

    /// Where the process's memory is, given its resident set.
    pub(super) fn memory_table(&mut self, process: u64) -> MemoryTable {
        let baseline = baseline();
        let now = resident().unwrap_or_default();
        let Resident { total, files } = baseline.resident;
        let (mut accounted, mut untouched) = (0, 0);
        let mut models = Vec::new();
        for row in &self.scene.desired.rows {
            let Some(slot) = self.scene.slots.get(&row.budget.name) else { continue };
            let memory = slot.pool.memory();
            accounted += memory.engine.total() + memory.engine.untouched;
            untouched += memory.engine.untouched;
            models.push(memory_row(row, slot, memory));
        }
        let own = allocation::own_bytes().unwrap_or(0).saturating_sub(baseline.own);
        // prepared requests are the program's for the allocator, and the models' here
        let prepared: u64 = models.iter().map(|model| model.prepared_bytes).sum();
        let heap = self.heap(untouched);
        let engines = match (heap, baseline.heap) {
            (Some((heap, _)), Some(before)) => {
                heap.saturating_sub(before.in_use() + own + accounted)
            }
            _ => onnxruntime::start_bytes(),
        };
        let kept = heap.map_or(0, |(_, kept)| kept.saturating_sub(baseline.kept.unwrap_or(0)));
        MemoryTable {
            process_bytes: process,
            baseline_bytes: total.min(process),
            files_bytes: now.files.saturating_sub(files),
            engines_bytes: engines,
            program_bytes: own.saturating_sub(prepared),
            kept_bytes: kept,
            models,
            ..MemoryTable::default()
        }
        .summed()
    }

    /// The heap in use, and what it keeps for reuse; asked for now and then only, since asking holds
    /// allocations up.
    fn heap(&mut self, untouched: u64) -> Option<(u64, u64)> {
        if self.heap.is_none_or(|(at, ..)| at.elapsed() >= HEAP_INTERVAL) {
            let heap = allocation::heap()?;
            self.heap = Some((Instant::now(), heap.in_use(), kept(&heap, untouched).unwrap_or(0)));
        }
        self.heap.map(|(_, in_use, kept)| (in_use, kept))
    }
}

fn memory_row(row: &Row, slot: &Slot, memory: PoolMemory) -> MemoryRow {
    let PoolMemory { engine, requests, limit, over } = memory;
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
