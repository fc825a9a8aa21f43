//! Applies changes, or stages them until they are applied as one transaction.

use super::action::{AppliedKind, Effect, PlanPurpose};
use super::command::Command;
use super::console_state::ConsoleState;
use super::dialog::{ConfirmedAction, Dialog};
use super::screen::{Mode, Tone};
use super::{journal, message_change, origin_changes, settling};
use crate::console::format;
use crate::layout::{Change, Plan, Refusal};
use crate::telemetry::Applied;

/// Applies a change, or adds it to the staged ones. Every gesture calls this.
pub(super) fn commit(state: &mut ConsoleState, change: Change) -> Vec<Effect> {
    if let Some(reason) = state.lock() {
        state.say(Tone::Bad, reason);
        return Vec::new();
    }
    if let Some(refusal) = state.read_only_refusal(&change) {
        state.say(Tone::Bad, format!("refused: {refusal}"));
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

/// Undoes the newest change; in staged mode, the newest step of the staged changes.
pub(super) fn undo(state: &mut ConsoleState) -> Vec<Effect> {
    if state.mode == Mode::Live {
        return vec![Effect::Undo];
    }
    if state.staged.undo() {
        return plan_staged(state);
    }
    say_nothing_staged(state, Command::Undo);
    Vec::new()
}

/// Redoes the change that was undone; in staged mode, the undone step of the staged changes.
pub(super) fn redo(state: &mut ConsoleState) -> Vec<Effect> {
    if state.mode == Mode::Live {
        return vec![Effect::Redo];
    }
    if state.staged.redo() {
        return plan_staged(state);
    }
    say_nothing_staged(state, Command::Redo);
    Vec::new()
}

fn say_nothing_staged(state: &mut ConsoleState, command: Command) {
    let (name, key) = (command.name(), state.keymap.shown(command));
    let text = format!(
        "no staged change to {name}: {} returns to live mode, where {key} acts on applied changes",
        state.keymap.shown(Command::Staged)
    );
    state.say(Tone::Info, text);
}

/// Drops the staged changes; asks first if there are several.
pub(super) fn cancel_staged(state: &mut ConsoleState) {
    let count = state.staged.len();
    if count < 2 {
        return discard(state);
    }
    let undo = state.keymap.shown(Command::Undo);
    let question = format!("Discard {count} staged changes? {undo} restores them.");
    state.dialog = Some(Dialog::Confirm { question, yes: ConfirmedAction::DiscardStaged });
}

/// Drops the staged changes. Undo restores them.
pub(super) fn discard(state: &mut ConsoleState) {
    let dropped = format::counted(state.staged.len(), "staged change");
    state.staged.discard();
    state.staged_plan = None;
    let undo = state.keymap.shown(Command::Undo);
    state.say(Tone::Info, format!("{dropped} discarded: {undo} restores what was staged"));
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
            state.staged.remove_refused();
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
) -> Vec<Effect> {
    match result {
        Ok(applied) => {
            settling::note_applied(state, &applied);
            let mut effects = Vec::new();
            if kind == AppliedKind::Staged {
                state.staged.clear();
                state.staged_plan = None;
                if std::mem::take(&mut state.leaving) {
                    effects.push(Effect::Quit);
                }
            }
            let switch = |entry| origin_changes::switch_origin(state, applied.id, entry);
            let layout = applied.of.and_then(switch);
            let layout =
                layout.map_or_else(String::new, |name| format!("the layout is {name} again, "));
            let head = format!("{kind}{layout}{}", applied.plan.summary);
            message_change::say_applied(state, head, &applied);
            state.fresh = Some((applied.plan.after, applied.plan.ledger));
            effects
        }
        Err(refusal) => {
            if kind == AppliedKind::Staged {
                state.leaving = false;
            }
            let mut text = format!("refused: {refusal}");
            if let Some(id) = refusal.change {
                text = format!("{text}; {}", journal::point_to(state, id));
            }
            state.say(Tone::Bad, text);
            Vec::new()
        }
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
