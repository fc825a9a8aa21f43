//! The consequences of a change: the rows that differ, which of them are rebuilt, and the texts.

use super::super::desired::DesiredState;
use super::super::plan::Plan;
use super::state_change::StateChange;
use super::{summary, warnings};
use crate::machine::Description;

/// Returns the consequences of going from one state to another.
pub(super) fn plan(before: &DesiredState, after: DesiredState, machine: &Description) -> Plan {
    let states = StateChange { before, after: &after };
    let changes = states.row_changes();
    let rows = changes.iter().filter_map(|change| states.row_plan(*change)).collect();
    let summary = summary::summary(states, &changes);
    let warnings = warnings::warnings(states, &changes, machine);
    Plan { ledger: after.ledger(machine), rows, summary, warnings, after, sharing: Vec::new() }
}
