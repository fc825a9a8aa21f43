//! Sorts the rows of the table on request, and keeps that order.

use super::console_state::ConsoleState;
use super::screen::Tone;
use super::sorting::SortKey;

/// Sorts by the next key.
pub(super) fn sort_by_next(state: &mut ConsoleState) {
    let at = SortKey::CYCLE.iter().position(|key| *key == state.sorting.key).unwrap_or(0);
    let next = SortKey::CYCLE.get((at + 1) % SortKey::CYCLE.len()).copied();
    sort_by(state, next.unwrap_or_default(), false);
}

/// Sorts by the key of a clicked title; a second click reverses the order.
pub(super) fn sort_by_title(state: &mut ConsoleState, key: SortKey) {
    let again = state.sorting.key == key;
    sort_by(state, key, again && !state.sorting.reversed);
}

fn sort_by(state: &mut ConsoleState, key: SortKey, reversed: bool) {
    state.sorting.key = key;
    state.sorting.reversed = reversed;
    state.sorting.take(&state.snapshot.models);
    let words = state.sorting.words().unwrap_or_else(|| "as in the layout".to_owned());
    state.say(Tone::Info, format!("sorted {words}; rows keep this order until you sort again"));
}

/// Computes the order again if models were added or removed.
pub(super) fn keep_order(state: &mut ConsoleState) {
    if state.sorting.is_old(&state.snapshot.models) {
        state.sorting.take(&state.snapshot.models);
    }
}
