//! Sorts the rows of the table on request, and keeps that order.

use super::console_state::ConsoleState;
use super::screen::Tone;
use super::sorting::{SortDirection, SortKey};

/// Sorts by the next key.
pub(super) fn sort_by_next(state: &mut ConsoleState) {
    let at = SortKey::CYCLE.iter().position(|key| *key == state.sorting.key).unwrap_or(0);
    let next = SortKey::CYCLE.get((at + 1) % SortKey::CYCLE.len()).copied();
    sort_by(state, next.unwrap_or_default(), SortDirection::Usual);
}

/// Sorts by the key of a clicked title; a second click reverses the order.
pub(super) fn sort_by_title(state: &mut ConsoleState, key: SortKey) {
    let sorting = &state.sorting;
    let direction =
        if sorting.key == key { sorting.direction.turned() } else { SortDirection::Usual };
    sort_by(state, key, direction);
}

fn sort_by(state: &mut ConsoleState, key: SortKey, direction: SortDirection) {
    state.sorting.key = key;
    state.sorting.direction = direction;
    state.sorting.take(&state.snapshot);
    let words = state.sorting.words().unwrap_or_else(|| "as in the layout".to_owned());
    state.say(Tone::Info, format!("sorted {words}; rows keep this order until you sort again"));
}

/// Computes the order again if models were added or removed.
pub(super) fn keep_order(state: &mut ConsoleState) {
    if state.sorting.is_old(&state.snapshot.models) {
        state.sorting.take(&state.snapshot);
    }
}
