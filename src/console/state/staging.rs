//! Applies changes, or stages them until they are applied as one transaction.

use super::action::{AppliedKind, Effect, PlanPurpose};
use super::console_state::ConsoleState;
use super::screen::{Mode, Tone};
use super::{message_change, origin_changes};
use crate::layout::{Change, Plan, Refusal};
use crate::telemetry::Applied;

/// Applies a change, or adds it to the staged ones. Every gesture calls this.
pub(super) fn commit(state: &mut ConsoleState, change: Change) -> Vec<Effect> {
    if state.readonly {
        state.say(Tone::Bad, "read-only: nothing can be changed here");
        return Vec::new();
    }
    match state.mode {
        Mode::Live => vec![Effect::Apply { kind: AppliedKind::Change, change }],
        Mode::Staged => {
            state.staged.push(change);
            plan_staged(state)
        }
    }
}

/// Requests the plan of all staged changes.
pub(super) fn plan_staged(state: &mut ConsoleState) -> Vec<Effect> {
    if state.staged.is_empty() {
        state.staged_plan = None;
        return Vec::new();
    }
    let ticket = state.ticket();
    state.staged_ticket = ticket;
    let change = state.on_top(&Change::default());
    vec![Effect::Plan { ticket, question: PlanPurpose::Staged, change }]
}

pub(super) fn apply_staged(state: &ConsoleState) -> Vec<Effect> {
    let change = state.on_top(&crate::layout::Change::default());
    vec![Effect::Apply { kind: AppliedKind::Staged, change }]
}

pub(super) fn staged_planned(
    state: &mut ConsoleState,
    ticket: u64,
    result: Result<Plan, Refusal>,
) -> Vec<Effect> {
    if ticket != state.staged_ticket || state.staged.is_empty() {
        return Vec::new();
    }
    match result {
        Ok(plan) => {
            state.staged_plan = Some(plan);
            Vec::new()
        }
        Err(refusal) => {
            // the last gesture made the staged changes impossible; the earlier ones stay
            state.staged.pop();
            let why = if ticket == state.planned_anew {
                "dropped the last staged change, which a newer change made impossible"
            } else {
                "not staged"
            };
            state.say(Tone::Bad, format!("{why}: {refusal}"));
            plan_staged(state)
        }
    }
}

pub(super) fn change_applied(
    state: &mut ConsoleState,
    kind: AppliedKind,
    result: Result<Applied, Refusal>,
) {
    match result {
        Ok(applied) => {
            if kind == AppliedKind::Staged {
                state.staged.clear();
                state.staged_plan = None;
            }
            let layout = applied.of.and_then(|entry| origin_changes::switch_origin(state, entry));
            let layout =
                layout.map_or_else(String::new, |name| format!("the layout is {name} again, "));
            let head = format!("{kind}{layout}{}", applied.plan.summary);
            message_change::say_applied(state, head, &applied);
            state.fresh = Some((applied.plan.after, applied.plan.ledger));
        }
        Err(refusal) => state.say(Tone::Bad, format!("refused: {refusal}")),
    }
}

/// Drops the state after the last applied change once a snapshot shows it.
pub(super) fn drop_overtaken(state: &mut ConsoleState) {
    let overtaken = state.fresh.as_ref().is_some_and(|(desired, _)| {
        desired.rows.iter().all(|row| {
            let shown = state.snapshot.model(&row.budget.name);
            shown.is_none_or(|view| view.row.generation >= row.generation)
        })
    });
    if overtaken {
        state.fresh = None;
    }
}
