//! Loaded models for the planning of changes, from the memory table of the newest snapshot.

use std::collections::BTreeMap;

use crate::layout::{Change, DesiredState, LoadedModelUse, Plan, Refusal, RowMemory, SharingRule};
use crate::machine::Description;
use crate::telemetry::{MemoryRow, MemoryTable};

/// Returns what a change of a state would do on a machine. `table` is that of the newest snapshot.
///
/// # Errors
/// [`Refusal`] if the state or the machine does not allow the change.
pub fn plan_change(
    before: &DesiredState,
    change: &Change,
    machine: &Description,
    table: &MemoryTable,
) -> Result<Plan, Refusal> {
    let mut plan = before.plan(change, machine)?;
    add_sharing(&mut plan, before, table)?;
    Ok(plan)
}

/// Adds the effects of a change on loaded models that rows share.
///
/// # Errors
/// A refusal if a row's part of one would grow beyond the row's memory budget.
pub(super) fn add_sharing(
    plan: &mut Plan,
    before: &DesiredState,
    table: &MemoryTable,
) -> Result<(), Refusal> {
    // Most changes alter nothing of that, and must not wait for it.
    if !plan.may_alter_sharing(before) {
        return Ok(());
    }
    plan.add_sharing(before, &loaded_models(table))
}

/// Returns the loaded models that rows share, or could share.
fn loaded_models(table: &MemoryTable) -> Vec<LoadedModelUse> {
    let rows: BTreeMap<&str, &MemoryRow> =
        table.models.iter().map(|row| (row.model.as_str(), row)).collect();
    let models = table.loaded.iter().map(|loaded| {
        let part = |row: &MemoryRow| match loaded.models.len() {
            1 => loaded.total(),
            _ => row.shared_bytes,
        };
        let memory = |name: &String| RowMemory {
            model: name.clone(),
            own_bytes: rows
                .get(name.as_str())
                .map_or(0, |row| row.total().saturating_sub(part(row))),
        };
        LoadedModelUse {
            bytes: loaded.total(),
            rule: if loaded.any_threads { SharingRule::AnyThreads } else { SharingRule::OneThread },
            rows: loaded.models.iter().map(memory).collect(),
        }
    });
    models.collect()
}
