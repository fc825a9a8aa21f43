//! Puts the memory table together, and holds models to their memory budgets.

use std::time::{Duration, Instant};

use super::observer::Observer;
use super::slot::Slot;
use crate::engine::onnxruntime;
use crate::layout::Row;
use crate::machine::allocation;
use crate::machine::resident::{ResidentSet, baseline, free_heap, resident};
use crate::pool::PoolMemory;
use crate::telemetry::{MemoryRow, MemoryTable};

/// How often the heap's statistics are asked for: it costs some milliseconds.
const HEAP_INTERVAL: Duration = Duration::from_secs(2);

/// The same while the process grows or shrinks, as when a model is loaded.
const HEAP_INTERVAL_MOVING: Duration = Duration::from_millis(200);

/// The heap when it was last asked about.
#[derive(Clone, Copy)]
pub(super) struct HeapSample {
    at: Instant,
    /// The resident set then.
    process: u64,
    in_use: u64,
    kept: u64,
}

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
        let ResidentSet { total, files } = baseline.resident;
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
        let heap = self.heap(process, untouched);
        let engines = onnxruntime::start_bytes();
        let before = baseline.heap.map_or(0, |heap| heap.in_use());
        let explained = before + own + accounted + engines;
        let kept = heap.map_or(0, |heap| heap.kept.saturating_sub(baseline.free_heap.unwrap_or(0)));
        MemoryTable {
            process_bytes: process,
            baseline_bytes: total.min(process),
            files_bytes: now.files.saturating_sub(files),
            engines_bytes: engines,
            program_bytes: own.saturating_sub(prepared),
            kept_bytes: kept,
            stray_bytes: heap.map_or(0, |heap| heap.in_use.saturating_sub(explained)),
            models,
            ..MemoryTable::default()
        }
        .summed()
    }

    /// The heap; asked about now and then only, since asking holds allocations up.
    fn heap(&mut self, process: u64, untouched: u64) -> Option<HeapSample> {
        let is_old = |look: HeapSample| {
            let moved = look.process.abs_diff(process) > process / 32;
            look.at.elapsed() >= if moved { HEAP_INTERVAL_MOVING } else { HEAP_INTERVAL }
        };
        if self.heap.is_none_or(is_old) {
            let heap = allocation::heap()?;
            let kept = free_heap(&heap, untouched).unwrap_or(0);
            self.heap =
                Some(HeapSample { at: Instant::now(), process, in_use: heap.in_use(), kept });
        }
        self.heap
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
        graph_bytes: engine.graph,
        instances: seats.serving + seats.others,
        arena_bytes: engine.arena,
        arena_source: engine.arena_source,
        requests_bytes: requests,
        prepared_bytes: slot.requests.bytes(),
        limit_bytes: limit,
        over,
    }
}
