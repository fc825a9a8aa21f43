//! The course of a drag: by holding the mouse button, by two clicks, or by keys. All three share this
//! code, so they produce the same change.

use super::action::{Action, Effect, PlanPurpose};
use super::console_state::ConsoleState;
use super::drag::{Drag, DragInput, DragItem};
use super::gpus::DeviceChoice;
use super::screen::{Column, Pane, Tone};
use super::{selection, staging};
use crate::layout::{CoreOwner, CoreSelection, Plan, Refusal};
use crate::machine::CpuSet;

/// Starts a drag.
pub(super) fn grab(state: &mut ConsoleState, item: DragItem, input: DragInput) -> Vec<Effect> {
    if let Some(reason) = state.lock() {
        state.say(Tone::Bad, reason);
        return Vec::new();
    }
    if let Some(refusal) = state.lift_refusal(&item) {
        state.say(Tone::Bad, format!("not lifted: {refusal}"));
        return Vec::new();
    }
    state.message = None;
    let at = match input {
        DragInput::ButtonHeld { origin, .. } => Some(origin),
        DragInput::Clicked | DragInput::Keyboard => None,
    };
    state.drag = Some(Drag {
        item,
        input,
        pointer: at,
        receiver: None,
        share: false,
        modifier: false,
        outcome: None,
        refusals: Vec::new(),
        plan_ticket: 0,
        survey_ticket: 0,
    });
    request_survey(state)
}

/// Starts a drag by key: of the selected cores in the cores pane, else of one unit of the
/// selected row.
pub(super) fn lift(state: &mut ConsoleState) -> Vec<Effect> {
    if state.drag.is_some() {
        return drop_item(state, None);
    }
    let item = if state.focus == Pane::Cores && !state.picked.is_empty() {
        state.picked_item()
    } else if state.focus == Pane::Cores {
        state.core.and_then(|core| state.core_item(core))
    } else if state.column == Column::Instances {
        match &state.selected {
            CoreOwner::Model(name) => Some(DragItem::Instances { count: 1, from: name.clone() }),
            CoreOwner::Free => None,
        }
    } else if state.column == Column::Gpu {
        device_token(state)
    } else {
        state.selected_owner().cloned().and_then(|owner| state.row_item(&owner))
    };
    let Some(item) = item else {
        let reason = if state.on_others && state.focus != Pane::Cores {
            state.no_row()
        } else {
            "nothing to lift here: this row has no core".to_owned()
        };
        state.say(Tone::Bad, reason);
        return Vec::new();
    };
    grab(state, item, DragInput::Keyboard)
}

/// Sets the receiver of the drag.
pub(super) fn hover(state: &mut ConsoleState, over: Option<CoreOwner>) -> Vec<Effect> {
    let Some(drag) = &mut state.drag else {
        return Vec::new();
    };
    let over = over.filter(|owner| !drag.item.is_only_of(owner));
    if drag.receiver == over {
        return Vec::new();
    }
    drag.receiver = over;
    request_plan(state)
}

/// Requests the plan of a drop on the receiver.
fn request_plan(state: &mut ConsoleState) -> Vec<Effect> {
    let ticket = state.ticket();
    let Some(drag) = &mut state.drag else {
        return Vec::new();
    };
    drag.plan_ticket = ticket;
    drag.outcome = None;
    let Some(change) = state.drag_change() else {
        return Vec::new();
    };
    if let Some(refusal) = state.read_only_refusal(&change) {
        if let Some(drag) = &mut state.drag {
            drag.outcome = Some(Err(refusal));
        }
        return Vec::new();
    }
    vec![Effect::Plan { ticket, question: PlanPurpose::Drag, change: state.on_top(&change) }]
}

/// Requests the list of rows that would refuse the item.
fn request_survey(state: &mut ConsoleState) -> Vec<Effect> {
    let ticket = state.ticket();
    let Some(drag) = &mut state.drag else {
        return Vec::new();
    };
    drag.survey_ticket = ticket;
    let (item, kind) = (drag.item.clone(), drag.kind());
    let candidates = state
        .rows()
        .into_iter()
        .filter_map(|owner| {
            let change = state.change_for(&item, &owner, kind)?;
            Some((owner, state.on_top(&change)))
        })
        .collect();
    vec![Effect::Survey { ticket, candidates }]
}

pub(super) fn surveyed(state: &mut ConsoleState, ticket: u64, refusals: Vec<(CoreOwner, String)>) {
    let receives_cores = state
        .drag
        .as_ref()
        .is_some_and(|drag| matches!(drag.item, DragItem::Cores { .. } | DragItem::Several(_)));
    let read_only: Vec<(CoreOwner, String)> = (state.rows().into_iter())
        .filter(|_| receives_cores)
        .filter_map(|row| state.placing_refusal(&row).map(|refusal| (row, refusal.reason)))
        .collect();
    if let Some(drag) = state.drag.as_mut().filter(|drag| drag.survey_ticket == ticket) {
        drag.refusals = refusals;
        drag.refusals.retain(|(row, _)| read_only.iter().all(|(other, _)| other != row));
        drag.refusals.extend(read_only);
    }
}

pub(super) fn drag_planned(state: &mut ConsoleState, ticket: u64, result: Result<Plan, Refusal>) {
    if let Some(drag) = state.drag.as_mut().filter(|drag| drag.plan_ticket == ticket) {
        drag.outcome = Some(result);
    }
}

/// Switches between sharing and moving cores.
pub(super) fn toggle_share(state: &mut ConsoleState) -> Vec<Effect> {
    let Some(drag) = &mut state.drag else {
        state.say(Tone::Info, "sharing works during a drag: lift a core first");
        return Vec::new();
    };
    drag.share = !drag.share;
    request_plans_again(state)
}

/// Requests all plans again after the item has changed.
fn request_plans_again(state: &mut ConsoleState) -> Vec<Effect> {
    let mut effects = request_survey(state);
    effects.extend(request_plan(state));
    effects
}

/// Drags more or fewer of the donor's cores or instances.
pub(super) fn change_amount(state: &mut ConsoleState, by: i32) -> Vec<Effect> {
    let Some(drag) = &state.drag else {
        return Vec::new();
    };
    let donor = drag.item.donor();
    let owned = match &donor {
        CoreOwner::Model(name) => state.row(name).map_or(CpuSet::EMPTY, |row| row.cores),
        CoreOwner::Free => state.ledger().free,
    };
    let step =
        |count: usize, most: usize| count.saturating_add_signed(by as isize).clamp(1, most.max(1));
    let item = match drag.item.clone() {
        DragItem::Cores { cores: CoreSelection::Count(count), from } => {
            DragItem::Cores { cores: CoreSelection::Count(step(count, owned.len())), from }
        }
        DragItem::Cores { cores: CoreSelection::These(mut set), from } => {
            let highest = set.iter().last();
            let next = owned.iter().find(|core| highest.is_some_and(|high| *core > high));
            match (by > 0, next, highest) {
                (true, Some(core), _) => set.insert(core),
                (false, _, Some(core)) if set.len() > 1 => set.remove(core),
                _ => return Vec::new(),
            }
            DragItem::Cores { cores: CoreSelection::These(set), from }
        }
        // cores selected one by one have no defined next core
        DragItem::Several(_) | DragItem::Gpu { .. } | DragItem::Placed { .. } => {
            return Vec::new();
        }
        DragItem::Instances { count, from } => {
            let most = state.row(&from).map_or(1, |row| row.concurrency);
            DragItem::Instances { count: step(count, most), from }
        }
    };
    if let Some(drag) = &mut state.drag {
        drag.item = item;
    }
    request_plans_again(state)
}

/// Moves the dragged model over a device, and drops it there if `drop` is set.
pub(super) fn aim_at(
    state: &mut ConsoleState,
    place: Option<DeviceChoice>,
    at: (u16, u16),
    drop: bool,
) -> Vec<Effect> {
    let Some(drag) = &mut state.drag else { return Vec::new() };
    let DragItem::Placed { onto, model } = &mut drag.item else { return Vec::new() };
    let turned = *onto != place;
    let receiver = place.as_ref().map(|_| CoreOwner::Model(model.clone()));
    *onto = place;
    drag.pointer = Some(at);
    drag.note_move(at);
    if drop {
        drag.receiver = receiver;
        return drop_item(state, None);
    }
    if turned {
        drag.receiver = None;
        return hover(state, receiver);
    }
    Vec::new()
}

/// Returns the drag item of the selected row's device.
pub(super) fn device_token(state: &mut ConsoleState) -> Option<DragItem> {
    let CoreOwner::Model(model) = state.selected.clone() else { return None };
    let place = state.place_of(&model);
    if state.places().len() == 1 {
        state.say(Tone::Info, "there is no GPU to move to");
    }
    Some(DragItem::Gpu { place })
}

/// Drops the item: on `over` if given, else on the receiver chosen by key.
pub(super) fn drop_item(state: &mut ConsoleState, over: Option<CoreOwner>) -> Vec<Effect> {
    if over.is_some()
        && let Some(drag) = &mut state.drag
    {
        drag.receiver = over;
    }
    let change = state.drag_change();
    let Some(drag) = state.drag.take() else {
        return Vec::new();
    };
    selection::clear_picked(state);
    let Some(change) = change else {
        let title = drag.item.title();
        state.say(Tone::Info, format!("drag of {title} cancelled: nothing was changed"));
        return Vec::new();
    };
    staging::commit(state, change)
}

/// Cancels the drag, for the given reason.
pub(super) fn cancel_drag(state: &mut ConsoleState, why: &str) {
    if let Some(drag) = state.drag.take() {
        state.say(Tone::Info, format!("drag of {} cancelled: {why}", drag.item.title()));
    }
}

/// Performs the actions of a drag by pointer.
pub(super) fn perform(state: &mut ConsoleState, action: Action) -> Vec<Effect> {
    match action {
        Action::Grab { item, at } => {
            grab(state, item, DragInput::ButtonHeld { origin: at, moved: false })
        }
        Action::Hover { over, at, modifier } => {
            let Some(drag) = &mut state.drag else {
                return Vec::new();
            };
            drag.note_move(at);
            drag.pointer = Some(at);
            let turned = drag.modifier != modifier;
            drag.modifier = modifier;
            let mut effects = hover(state, over);
            if turned {
                effects = request_plans_again(state);
            }
            effects
        }
        Action::Pick => {
            if let Some(drag) = &mut state.drag {
                drag.input = DragInput::Clicked;
                if drag.item.cores() != state.picked {
                    selection::clear_picked(state);
                }
            }
            Vec::new()
        }
        Action::PickCore { core, range } => {
            state.drag = None;
            if range {
                selection::pick_range_to(state, core);
            } else {
                selection::toggle_picked(state, core);
            }
            Vec::new()
        }
        Action::Drop { over, modifier } => {
            if let Some(drag) = &mut state.drag {
                drag.modifier = modifier;
                drag.receiver = None;
            }
            drop_item(state, over)
        }
        Action::CancelDrag(why) => {
            cancel_drag(state, why);
            Vec::new()
        }
        Action::Aim { place, at, drop } => aim_at(state, place, at, drop),
        Action::Amount(by) => change_amount(state, by),
        _ => Vec::new(),
    }
}
