//! The question before a change that asks for far more threads than there are cores.

use super::action::GuardedChange;
use super::console_state::ConsoleState;
use super::dialog::{ConfirmedAction, Dialog};
use crate::console::format;
use crate::engine::EngineKind;
use crate::layout::{Bytes, ExcessiveRow, short_name};

/// Rows that the question describes.
const DESCRIBED: usize = 3;

/// Asks whether to apply a change, with its cost.
pub(super) fn ask(state: &mut ConsoleState, change: GuardedChange, rows: &[ExcessiveRow]) {
    let described: Vec<String> =
        rows.iter().take(DESCRIBED).map(|row| describe(state, row)).collect();
    let more = match rows.len().saturating_sub(DESCRIBED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let question = format!(
        "{}{more}. Threads without a core wait, and each instance takes memory. Apply it?",
        described.join("; ")
    );
    state.dialog = Some(Dialog::Confirm { question, yes: ConfirmedAction::Apply(change) });
}

fn describe(state: &ConsoleState, row: &ExcessiveRow) -> String {
    format!(
        "{}: {} of {} on {}, {} threads per core{}",
        short_name(&row.model),
        format::counted(row.instances, "instance"),
        format::counted(row.threads, "thread"),
        format::counted(row.cores, "core"),
        row.threads_per_core(),
        memory(state, row)
    )
}

/// Returns the estimated memory of a row's instances by what the present ones hold: each has its own
/// arena and, where the engine cannot share the loaded model, its own copy of that. Empty if it is not
/// known.
fn memory(state: &ConsoleState, row: &ExcessiveRow) -> String {
    let Some(view) = state.snapshot.model(&row.model) else { return String::new() };
    let held = &view.memory;
    let now = (view.actual.active + view.actual.parked).max(1) as u64;
    let copies = u64::from(held.copies.max(1));
    let wanted = row.instances as u64;
    let is_copied = view.row.budget.gpu.is_some()
        || (view.engine == Some(EngineKind::OnnxRuntime) && row.threads > 1);
    let wanted_copies = if is_copied { wanted } else { 1 };
    let loaded = (held.weights + held.graph) / copies;
    let arena = held.arena.unwrap_or(0) / now;
    let estimate =
        loaded.saturating_mul(wanted_copies).saturating_add(arena.saturating_mul(wanted));
    if estimate == 0 {
        return String::new();
    }
    format!(", about {} of memory", Bytes(estimate).rounded())
}
