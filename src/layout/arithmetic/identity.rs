//! Identities and generations of rows.

use super::super::desired::{DesiredState, Row};

/// Gives each row of `after` the identity and the generation of the same model in `before`; the
/// generation is one more if the row differs. New rows get a new identity and keep their generation.
pub(super) fn inherit(mut after: DesiredState, before: &DesiredState) -> DesiredState {
    after.next_id = after.next_id.max(before.next_id);
    let same: Vec<Option<Row>> =
        after.rows.iter().map(|row| before.counterpart(row, &after).cloned()).collect();
    for (row, before) in after.rows.iter_mut().zip(same) {
        let Some(before) = before else { continue };
        (row.generation, row.id) = (before.generation, before.id);
        if *row != before {
            row.generation += 1;
        }
    }
    assign(after)
}

/// Gives an identity to each row that has none.
pub(super) fn assign(mut state: DesiredState) -> DesiredState {
    for row in state.rows.iter_mut().filter(|row| row.id == 0) {
        row.id = state.next_id.max(1);
        state.next_id = row.id + 1;
    }
    state
}
