//! Loaded models in the memory table: each is charged to its rows in exactly equal parts.

use std::collections::BTreeMap;

use crate::engine::{EngineKind, SharedMemory};
use crate::layout::{Row, file_name};
use crate::pool::PoolMemory;
use crate::scheduler::slot::Slot;
use crate::telemetry::{LoadedModelRow, MemoryRow};

/// One row with its memory.
pub(super) struct MeasuredRow<'a> {
    pub(super) row: &'a Row,
    pub(super) slot: &'a Slot,
    pub(super) memory: PoolMemory,
}

/// A loaded model and the indices of its rows.
struct RowGroup {
    shared: SharedMemory,
    rows: Vec<usize>,
}

/// Replaces each row's part of a loaded model, which was measured at slightly different times, by exact
/// parts of one measurement. Returns the loaded models.
pub(super) fn charge_loaded_models(
    measured: &[MeasuredRow<'_>],
    rows: &mut [MemoryRow],
) -> Vec<LoadedModelRow> {
    let mut groups: BTreeMap<u64, RowGroup> = BTreeMap::new();
    for (index, measured) in measured.iter().enumerate() {
        if let Some(shared) = measured.memory.engine.shared {
            let group = groups.entry(shared.id).or_insert(RowGroup { shared, rows: Vec::new() });
            group.rows.push(index);
        }
    }
    for group in groups.values() {
        for (rank, index) in group.rows.iter().enumerate() {
            let (Some(measured), Some(row)) = (measured.get(*index), rows.get_mut(*index)) else {
                continue;
            };
            let part = Division { rank: rank as u64, count: group.rows.len() as u64 };
            let own = measured.memory.engine.without_shared();
            let (weights, graph, arena) = (
                part.of(group.shared.weights),
                part.of(group.shared.graph),
                part.of(group.shared.arena),
            );
            row.weights_bytes = own.weights + weights;
            row.graph_bytes = own.graph + graph;
            row.arena_bytes = own.arena.map(|own| own + arena);
            if group.rows.len() > 1 {
                row.shared_bytes = weights + graph + arena;
            }
        }
    }
    add_reasons(measured, rows);
    groups.values().filter_map(|group| loaded_row(group, measured)).collect()
}

/// The place of one row in an equal division; the first rows get the remainder.
struct Division {
    rank: u64,
    count: u64,
}

impl Division {
    fn of(&self, bytes: u64) -> u64 {
        bytes / self.count + u64::from(self.rank < bytes % self.count)
    }
}

fn loaded_row(group: &RowGroup, measured: &[MeasuredRow<'_>]) -> Option<LoadedModelRow> {
    let rows: Vec<_> = group.rows.iter().filter_map(|index| measured.get(*index)).collect();
    let first = rows.first()?;
    Some(LoadedModelRow {
        file: file_name(&first.row.budget.source),
        weights_bytes: group.shared.weights,
        graph_bytes: group.shared.graph,
        arena_bytes: group.shared.arena,
        any_threads: first.slot.engine != Some(EngineKind::OnnxRuntime),
        models: rows.iter().map(|measured| measured.row.budget.name.clone()).collect(),
    })
}

/// Adds the reason to each row that has its own copy of a model that other rows use.
fn add_reasons(measured: &[MeasuredRow<'_>], rows: &mut [MemoryRow]) {
    let mut uses: BTreeMap<_, usize> = BTreeMap::new();
    for measured in measured {
        *uses.entry(&measured.row.budget.source).or_default() += 1;
    }
    for (measured, row) in measured.iter().zip(rows) {
        let is_alone = uses.get(&measured.row.budget.source).is_none_or(|uses| *uses < 2);
        if is_alone || row.shared_bytes > 0 || row.weights_bytes == 0 {
            continue;
        }
        row.not_shared = Some(reason(measured));
    }
}

fn reason(measured: &MeasuredRow<'_>) -> String {
    let MeasuredRow { row, slot, memory } = measured;
    if row.budget.gpu.is_some() {
        return "each instance on a GPU has its own session".to_owned();
    }
    if slot.engine == Some(EngineKind::OnnxRuntime) && row.threads > 1 {
        return format!(
            "ONNX Runtime shares a session only among instances with one thread; this row has {}",
            row.threads
        );
    }
    if memory.engine.shared.is_none() {
        return "this engine cannot share it".to_owned();
    }
    "its other rows use another engine, another version of the file, or more threads".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_exactly() {
        for count in 1..20 {
            for bytes in [0, 1, 7, 1000, 1001] {
                let parts = (0..count).map(|rank| Division { rank, count }.of(bytes));
                assert_eq!(parts.sum::<u64>(), bytes, "{bytes} / {count}");
            }
        }
    }
}
