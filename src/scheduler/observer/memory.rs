//! The memory table of a snapshot.

use std::time::{Duration, Instant};

use super::sharing::{MeasuredRow, charge_loaded_models};
use crate::engine::onnxruntime;
use crate::machine::allocation;
use crate::machine::heap::heap;
use crate::machine::resident::{ResidentSet, baseline, free_heap, resident};
use crate::pool::PoolMemory;
use crate::scheduler::messages::SchedulerState;
use crate::telemetry::{MemoryRow, MemoryTable};

/// Time between samples of the heap. A sample locks each arena of the allocator while it walks the
/// arena's free blocks, and a request that allocates there waits: 0.03 ms if few blocks are free, 12 to
/// 20 ms if 100,000 are. What the samples show hardly changes while the resident set does not.
const HEAP_INTERVAL: Duration = Duration::from_secs(10);

/// Time between samples of the heap while the process grows or shrinks, as during a load.
const HEAP_INTERVAL_MOVING: Duration = Duration::from_millis(200);

/// The least time between samples, in durations of the last one: a heap that is slow to sample is
/// sampled less often, so that samples take at most one percent of the time.
const HEAP_PAUSE: u32 = 100;

/// One sample of the heap, in bytes.
#[derive(Clone, Copy)]
struct HeapSample {
    at: Instant,
    /// Time that it took.
    took: Duration,
    /// Resident set of the process.
    process: u64,
    in_use: u64,
    /// Freed, but kept resident by the allocator.
    kept: u64,
}

impl HeapSample {
    /// Returns the time until the next sample, if the resident set is `process` now.
    fn pause(&self, process: u64) -> Duration {
        let has_moved = self.process.abs_diff(process) > process / 32;
        let interval = if has_moved { HEAP_INTERVAL_MOVING } else { HEAP_INTERVAL };
        interval.max(self.took * HEAP_PAUSE)
    }
}

/// Samples the heap from time to time.
#[derive(Default)]
pub(super) struct HeapSampler(Option<HeapSample>);

impl HeapSampler {
    /// Returns the memory table, given the resident set of the process.
    pub(super) fn memory_table(&mut self, state: &SchedulerState, process: u64) -> MemoryTable {
        let baseline = baseline();
        let now = resident().unwrap_or_default();
        let ResidentSet { total, files } = baseline.resident;
        let (mut accounted, mut untouched) = (0, 0);
        let mut measured = Vec::new();
        for row in &state.desired.rows {
            let Some(slot) = state.slots.get(&row.budget.name) else { continue };
            // The table divides the memory of this process.
            let Some(pool) = &slot.pool else { continue };
            let memory = pool.memory();
            accounted += memory.engine.total() + memory.engine.untouched;
            untouched += memory.engine.untouched;
            measured.push(MeasuredRow { row, slot, memory });
        }
        let mut models: Vec<MemoryRow> = measured.iter().map(memory_row).collect();
        let loaded = charge_loaded_models(&measured, &mut models);
        let own = allocation::own_bytes().unwrap_or(0).saturating_sub(baseline.own);
        // The allocator counts prepared requests as divvy's own; here they are the models'.
        let prepared: u64 = models.iter().map(|model| model.prepared_bytes).sum();
        let heap = self.sample(process, untouched);
        let engines = onnxruntime::start_bytes();
        let before = baseline.heap.map_or(0, |heap| heap.in_use());
        let in_flight = allocation::output_bytes();
        let explained = before + own + accounted + in_flight + engines;
        let kept = heap.map_or(0, |heap| heap.kept.saturating_sub(baseline.free_heap.unwrap_or(0)));
        MemoryTable {
            process_bytes: process,
            baseline_bytes: total.min(process),
            files_bytes: now.files.saturating_sub(files),
            engines_bytes: engines,
            program_bytes: own.saturating_sub(prepared),
            in_flight_bytes: in_flight,
            kept_bytes: kept,
            stray_bytes: heap.map_or(0, |heap| heap.in_use.saturating_sub(explained)),
            models,
            loaded,
            ..MemoryTable::default()
        }
        .summed()
    }

    /// Returns the newest sample; takes one if it is old.
    fn sample(&mut self, process: u64, untouched: u64) -> Option<HeapSample> {
        if self.0.is_none_or(|sample| sample.at.elapsed() >= sample.pause(process)) {
            let start = Instant::now();
            let heap = heap()?;
            let kept = free_heap(&heap, untouched).unwrap_or(0);
            let (at, in_use) = (Instant::now(), heap.in_use());
            self.0 = Some(HeapSample { at, took: at - start, process, in_use, kept });
        }
        self.0
    }
}

fn memory_row(measured: &MeasuredRow<'_>) -> MemoryRow {
    let MeasuredRow { row, slot, memory } = measured;
    let PoolMemory { engine, requests, limit, over } = memory;
    let seats = slot.seats();
    MemoryRow {
        model: row.budget.name.clone(),
        weights_bytes: engine.weights,
        weights_source: engine.weights_source,
        copies: engine.copies,
        graph_bytes: engine.graph,
        instances: seats.serving + seats.others,
        arena_bytes: engine.arena,
        arena_source: engine.arena_source,
        requests_bytes: *requests,
        in_flight_bytes: engine.in_flight,
        prepared_bytes: slot.pool.as_ref().map_or(0, |pool| pool.prepared_bytes()),
        limit_bytes: *limit,
        over: over.clone(),
        ..MemoryRow::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(took: Duration) -> HeapSample {
        HeapSample { at: Instant::now(), took, process: 1000, in_use: 0, kept: 0 }
    }

    #[test]
    fn steady_heap_is_sampled_seldom() {
        let quick = sample(Duration::from_micros(30));
        assert_eq!((quick.pause(1000), quick.pause(1100)), (HEAP_INTERVAL, HEAP_INTERVAL_MOVING));
    }

    #[test]
    fn slow_samples_take_one_percent_of_the_time() {
        let slow = sample(Duration::from_millis(20));
        assert_eq!(slow.pause(1100), Duration::from_secs(2));
    }
}
