//! The selection of a row and of cores. A range of cores is selected by Shift with arrows or click,
//! single cores by Ctrl with click. Selected cores are dragged together, even if they have different
//! owners.

use super::console_state::ConsoleState;
use super::core_order;
use super::screen::Pane;
use crate::layout::CoreOwner;
use crate::machine::{CoreId, CpuSet};
use crate::telemetry::Snapshot;

pub(super) fn select(state: &mut ConsoleState, row: Option<CoreOwner>) {
    if let Some(row) = row {
        state.selected = row;
        state.on_others = false;
    }
}

/// Selects the line of other processes, below the rows; does nothing if there is none.
pub(super) fn select_others(state: &mut ConsoleState) {
    if state.snapshot.others.is_some() {
        state.selected = CoreOwner::Free;
        state.on_others = true;
    }
}

/// Moves the selection down by `by` rows, at most to the first or the last.
pub(super) fn select_beside(state: &mut ConsoleState, by: i32) {
    let rows = state.rows();
    let at = if state.on_others {
        rows.len()
    } else {
        rows.iter().position(|row| *row == state.selected).unwrap_or(0)
    };
    let next = at.saturating_add_signed(by as isize);
    if next >= rows.len() && state.snapshot.others.is_some() {
        return select_others(state);
    }
    select(state, rows.get(next.min(rows.len().saturating_sub(1))).cloned());
}

/// Selects an added model as soon as a snapshot shows it.
pub(super) fn select_arrived(state: &mut ConsoleState) {
    if let Some(name) = &state.arriving
        && state.snapshot.model(name).is_some()
    {
        state.selected = CoreOwner::Model(name.clone());
        state.on_others = false;
        state.arriving = None;
    }
}

/// Moves the selection to the first row if the selected one was removed or filtered out.
pub(super) fn keep_selection(state: &mut ConsoleState) {
    state.on_others &= state.snapshot.others.is_some();
    let rows = state.rows();
    if !rows.contains(&state.selected) {
        select(state, rows.first().cloned());
    }
    let gone = |snapshot: &Snapshot, core| snapshot.cores.iter().all(|view| view.core.id != core);
    if state.core.is_some_and(|core| gone(&state.snapshot, core)) {
        state.core = None;
    }
}

/// Selects another core, in the order of ids.
pub(super) fn step_core(state: &mut ConsoleState, by: i32) {
    state.core = core_order::beside(&state.snapshot.cores, state.core, by);
}

/// Moves the selected core and extends the range to it.
pub(super) fn extend(state: &mut ConsoleState, by: i32) {
    if state.drag.is_some() {
        return;
    }
    if state.focus != Pane::Cores {
        state.focus = Pane::Cores;
        clear_picked(state);
        return step_core(state, 0);
    }
    let from = state.anchor.or(state.core);
    step_core(state, by);
    state.anchor = from.or(state.core);
    pick_range(state);
}

/// Handles a click with Shift: selects all cores from the anchor to this one.
pub(super) fn pick_range_to(state: &mut ConsoleState, core: CoreId) {
    state.focus = Pane::Cores;
    state.anchor = state.anchor.or(state.core).or(Some(core));
    state.core = Some(core);
    pick_range(state);
}

/// Handles a click with Ctrl: adds the core to the selection, or removes it.
pub(super) fn toggle_picked(state: &mut ConsoleState, core: CoreId) {
    state.focus = Pane::Cores;
    if state.picked.contains(core) {
        state.picked.remove(core);
    } else {
        state.picked.insert(core);
    }
    state.core = Some(core);
    state.anchor = Some(core);
}

fn pick_range(state: &mut ConsoleState) {
    // the range is in screen order
    let cores = core_order::arranged(&state.snapshot.cores);
    let place = |id: CoreId| cores.iter().position(|view| view.core.id == id);
    let (Some(from), Some(to)) = (state.anchor.and_then(place), state.core.and_then(place)) else {
        return;
    };
    let range = from.min(to)..=from.max(to);
    state.picked = cores
        .iter()
        .enumerate()
        .filter(|(at, view)| range.contains(at) && view.allowed)
        .map(|(_, view)| view.core.id)
        .collect();
}

/// Clears the multiple selection.
pub(super) fn clear_picked(state: &mut ConsoleState) {
    state.picked = CpuSet::EMPTY;
    state.anchor = None;
}
