//! Changes of the saved layout that the live rows belong to: loads, undone loads, renames, deletions.

use super::action::Effect;
use super::console_state::ConsoleState;
use super::origin::MAX_LOADS;
use super::screen::Tone;
use crate::layout::{Budget, Edit};
use crate::scheduler::SavedLayout;

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

/// Switches to a load's other layout after the change `step` has undone or redone the load `entry`, once per
/// step. Returns the name of that layout; `None` if the entry is not a load.
pub(super) fn switch_origin(state: &mut ConsoleState, step: u64, entry: u64) -> Option<String> {
    let (_, other) = state.origins.loads.iter_mut().rev().find(|(load, _)| *load == entry)?;
    if !state.origins.switched.insert(step) {
        return Some(state.profile_name().to_owned());
    }
    if state.origins.switched.len() > MAX_LOADS {
        state.origins.switched.pop_first();
    }
    std::mem::swap(&mut state.profile, other);
    let left = other.clone();
    if let Some(saved) = state.saved.take() {
        state.origins.rows.insert(left, saved);
    }
    // a layout without known rows is saved nowhere
    state.saved = Some(state.origins.rows.get(&state.profile).cloned().unwrap_or_default());
    Some(state.profile_name().to_owned())
}

/// Switches layouts for loads that were undone or redone in entries newer than `known`: by another console, by
/// a script, or by divvy itself, which undoes a load whose instances cannot be built.
pub(super) fn switch_origins(state: &mut ConsoleState, known: Option<u64>) {
    let snapshot = state.snapshot.clone();
    for entry in snapshot.changes.iter().filter(|entry| Some(entry.id) > known) {
        if let Some(of) = entry.undoes.or(entry.redoes) {
            switch_origin(state, entry.id, of);
        }
    }
}

/// The time after a load until it is read again which layout is live: the console that has loaded it records
/// that only then.
const RECORD_TIME_US: u64 = 1_500_000;

/// Requests the saved layout that the live rows belong to, if entries newer than `known` may have changed it, and
/// again a while later.
pub(super) fn follow_current(state: &mut ConsoleState, known: Option<u64>) -> Option<Effect> {
    let snapshot = state.snapshot.clone();
    let is_load = |edit: &Edit| matches!(edit, Edit::Load { .. });
    let newer = snapshot.changes.iter().filter(|entry| Some(entry.id) > known);
    let has_loads = newer.flat_map(|entry| &entry.change.edits).any(is_load);
    let is_due = state.current_due_us.is_some_and(|due| due <= snapshot.uptime_us);
    if has_loads {
        state.current_due_us = Some(snapshot.uptime_us + RECORD_TIME_US);
    } else if is_due {
        state.current_due_us = None;
    }
    (has_loads || is_due).then(|| Effect::ReadCurrent { known: state.profile.clone() })
}

/// Takes in the saved layout that the live rows belong to, unless it has changed here since the question.
pub(super) fn adopt_current(
    state: &mut ConsoleState,
    known: Option<&str>,
    name: Option<String>,
    saved: Option<SavedLayout>,
) {
    if state.profile.as_deref() != known || state.profile == name {
        return;
    }
    if let (Some(name), Some(saved)) = (&name, &saved)
        && !saved.read_only
    {
        state.opened.insert(name.clone());
    }
    let rows = saved.map(|saved| saved.layout.models).unwrap_or_default();
    state.profile = name;
    state.saved = Some(rows);
    let text =
        format!("another console has changed the layout: it is {} now", state.profile_name());
    state.say(Tone::Info, text);
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
