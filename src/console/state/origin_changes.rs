//! Changes of the saved layout that the live rows belong to: loads, undone loads, renames, deletions.

use super::console_state::ConsoleState;
use super::origin::MAX_LOADS;
use crate::layout::Budget;
use crate::telemetry::Author;

/// Records that the rows belong to a saved layout; `load` is the journal id if they were loaded.
pub(super) fn set_origin(
    state: &mut ConsoleState,
    name: String,
    rows: Vec<Budget>,
    load: Option<u64>,
) {
    let before = state.profile.replace(name);
    let saved = state.saved.replace(rows);
    if let Some(load) = load {
        if let Some(saved) = saved {
            state.origins.rows.insert(before.clone(), saved);
        }
        let loads = &mut state.origins.loads;
        loads.push((load, before));
        let excess = loads.len().saturating_sub(MAX_LOADS);
        loads.drain(..excess);
    }
}

/// Switches to a load's other layout after the load was undone or redone. Returns the name of that
/// layout; `None` if the entry is not a load.
pub(super) fn switch_origin(state: &mut ConsoleState, entry: u64) -> Option<String> {
    let (_, other) = state.origins.loads.iter_mut().rev().find(|(load, _)| *load == entry)?;
    std::mem::swap(&mut state.profile, other);
    let left = other.clone();
    if let Some(saved) = state.saved.take() {
        state.origins.rows.insert(left, saved);
    }
    // a layout without known rows is saved nowhere
    state.saved = Some(state.origins.rows.get(&state.profile).cloned().unwrap_or_default());
    Some(state.profile_name().to_owned())
}

/// Switches layouts for loads that someone else undid or redid in entries newer than `known`. divvy
/// itself undoes a load whose instances cannot be built.
pub(super) fn switch_origins_of_others(state: &mut ConsoleState, known: Option<u64>) {
    let snapshot = state.snapshot.clone();
    let newer = snapshot.changes.iter().filter(|entry| Some(entry.id) > known);
    for entry in newer.filter(|entry| entry.author != Author::Console) {
        if let Some(of) = entry.undoes.or(entry.redoes) {
            switch_origin(state, of);
        }
    }
}

/// Records that a saved layout was renamed.
pub(super) fn origin_renamed(state: &mut ConsoleState, from: &str, to: &str) {
    rename_origin(state, from, Some(to.to_owned()));
}

/// Records that a saved layout was deleted: its rows are saved nowhere.
pub(super) fn origin_deleted(state: &mut ConsoleState, name: &str) {
    state.origins.rows.remove(&Some(name.to_owned()));
    if state.profile.as_deref() == Some(name) {
        state.saved = Some(Vec::new());
    }
    rename_origin(state, name, None);
}

fn rename_origin(state: &mut ConsoleState, from: &str, to: Option<String>) {
    let others = state.origins.loads.iter_mut().map(|(_, other)| other);
    for name in others.chain(std::iter::once(&mut state.profile)) {
        if name.as_deref() == Some(from) {
            name.clone_from(&to);
        }
    }
    if let Some(rows) = state.origins.rows.remove(&Some(from.to_owned())) {
        state.origins.rows.insert(to, rows);
    }
}
