//! Turns mouse events into actions, given the hit map of the last frame and the current drag. Pure.
//!
//! A drag captures the mouse when the button goes down, and gets every event until it comes up. A move
//! without a button during such a drag means that the release was lost (tmux does not report one
//! outside its pane): the drag is then cancelled.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use crate::console::state::{Action, Column, ConsoleState, DragInput, DragItem, HitMap, Target};
use crate::layout::CoreOwner;

/// Returns the action of a mouse event; `None` if it has none.
pub(crate) fn interpret(event: MouseEvent, hits: &HitMap, state: &ConsoleState) -> Option<Action> {
    let at = (event.column, event.row);
    let target = hits.at(event.column, event.row);
    let over = || target.and_then(|target| receiver(target, state));
    let modifier = event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    let means = state.drag.as_ref().map(|drag| drag.input);
    if let (Some(Target::Command(command)), Some(DragInput::Clicked | DragInput::Keyboard)) =
        (target, means)
    {
        match event.kind {
            // during a drag the footer offers commands for it
            MouseEventKind::Down(MouseButton::Left) => return Some(Action::Command(*command)),
            // moving to the footer keeps the receiver
            MouseEventKind::Moved => return None,
            _ => {}
        }
    }
    if state.drag.as_ref().is_some_and(|drag| matches!(drag.item, DragItem::Placed { .. })) {
        return aim(event.kind, target, at, means?);
    }
    match (event.kind, means) {
        (MouseEventKind::Down(MouseButton::Left), None) => press(target?, at, state),
        (
            MouseEventKind::Down(MouseButton::Left),
            Some(DragInput::Clicked | DragInput::Keyboard),
        ) => Some(Action::Drop { over: over(), modifier }),
        (MouseEventKind::Down(_), Some(_)) => {
            Some(Action::CancelDrag("another button was pressed"))
        }
        (MouseEventKind::Drag(MouseButton::Left), Some(DragInput::ButtonHeld { .. }))
        | (MouseEventKind::Moved, Some(DragInput::Clicked)) => {
            Some(Action::Hover { over: over(), at, modifier })
        }
        (MouseEventKind::Moved, Some(DragInput::ButtonHeld { .. })) => {
            Some(Action::CancelDrag("the button's release was lost"))
        }
        (MouseEventKind::Up(MouseButton::Left), Some(DragInput::ButtonHeld { origin, moved })) => {
            let together = modifier || event.modifiers.contains(KeyModifiers::SHIFT);
            if let (false, true, Some(Target::Core(core))) = (moved, together, target)
                && origin == at
            {
                let range = event.modifiers.contains(KeyModifiers::SHIFT);
                Some(Action::PickCore { core: *core, range })
            } else if !moved && origin == at {
                Some(Action::Pick)
            } else {
                Some(Action::Drop { over: over(), modifier })
            }
        }
        (MouseEventKind::ScrollUp, None) if state.dialog.is_some() => Some(key(KeyCode::Up)),
        (MouseEventKind::ScrollDown, None) if state.dialog.is_some() => Some(key(KeyCode::Down)),
        (MouseEventKind::ScrollUp, Some(_)) => Some(Action::Amount(1)),
        (MouseEventKind::ScrollDown, Some(_)) => Some(Action::Amount(-1)),
        (MouseEventKind::ScrollUp, None) if modifier => step(target?, 1),
        (MouseEventKind::ScrollDown, None) if modifier => step(target?, -1),
        (MouseEventKind::ScrollUp, None) => scroll(target?, -1),
        (MouseEventKind::ScrollDown, None) => scroll(target?, 1),
        _ => None,
    }
}

fn key(code: KeyCode) -> Action {
    Action::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

/// Returns the row that receives an item dropped on a target.
pub(crate) fn receiver(target: &Target, state: &ConsoleState) -> Option<CoreOwner> {
    match target {
        Target::Core(core) => state.core_owner(*core),
        Target::RowCore(owner) | Target::Row(owner) => Some(owner.clone()),
        Target::Instance(model) | Target::Field(model, _) => Some(CoreOwner::Model(model.clone())),
        Target::Pane(_)
        | Target::Gpu(_)
        | Target::Title(_)
        | Target::ConnectionTitle(_)
        | Target::Command(_)
        | Target::Press(_)
        | Target::Item(_)
        | Target::Change(_)
        | Target::Others
        | Target::Lines(_)
        | Target::Nothing => None,
    }
}

/// Returns the action of a mouse event while a model is dragged to a device.
fn aim(
    kind: MouseEventKind,
    target: Option<&Target>,
    at: (u16, u16),
    means: DragInput,
) -> Option<Action> {
    let place = match target {
        Some(Target::Gpu(place)) => Some(place.clone()),
        _ => None,
    };
    match (kind, means) {
        (MouseEventKind::Down(MouseButton::Left), DragInput::Clicked | DragInput::Keyboard) => {
            Some(Action::Aim { place, at, drop: true })
        }
        (MouseEventKind::Down(_), _) => Some(Action::CancelDrag("another button was pressed")),
        (MouseEventKind::Drag(MouseButton::Left), DragInput::ButtonHeld { .. })
        | (MouseEventKind::Moved, DragInput::Clicked) => {
            Some(Action::Aim { place, at, drop: false })
        }
        (MouseEventKind::Moved, DragInput::ButtonHeld { .. }) => {
            Some(Action::CancelDrag("the button's release was lost"))
        }
        (MouseEventKind::Up(MouseButton::Left), DragInput::ButtonHeld { origin, moved }) => {
            if !moved && origin == at {
                Some(Action::Pick)
            } else {
                Some(Action::Aim { place, at, drop: true })
            }
        }
        _ => None,
    }
}

fn press(target: &Target, at: (u16, u16), state: &ConsoleState) -> Option<Action> {
    let item = match target {
        Target::Core(core) => state.drag_item_at(*core),
        Target::RowCore(owner) => state.row_item(owner),
        Target::Instance(model) => Some(DragItem::Instances { count: 1, from: model.clone() }),
        Target::Gpu(place) => Some(DragItem::Gpu { place: place.clone() }),
        Target::Field(model, Column::Gpu) => {
            Some(DragItem::Placed { model: model.clone(), onto: None })
        }
        Target::Pane(pane) => return Some(Action::Expand(*pane)),
        Target::Command(command) => return Some(Action::Command(*command)),
        Target::Press(code) => return Some(key(*code)),
        Target::Nothing | Target::Lines(_) => return None,
        Target::Field(..)
        | Target::Row(_)
        | Target::Others
        | Target::Item(_)
        | Target::Change(_)
        | Target::Title(_)
        | Target::ConnectionTitle(_) => None,
    };
    Some(match item {
        Some(item) => Action::Grab { item, at },
        None => Action::Click(target.clone()),
    })
}

/// Lines per step of the wheel.
const LINES: i32 = 3;

/// Returns the action of the wheel with a modifier held: a step of the value under the pointer.
fn step(target: &Target, by: i32) -> Option<Action> {
    let (model, column) = match target {
        Target::Field(model, column) => (model, *column),
        Target::RowCore(CoreOwner::Model(model)) => (model, Column::Cores),
        Target::Instance(model) => (model, Column::Instances),
        _ => return None,
    };
    Some(Action::Step { model: model.clone(), column, by })
}

/// Returns the action of the wheel: `by` steps down.
fn scroll(target: &Target, by: i32) -> Option<Action> {
    match target {
        Target::Nothing => None,
        Target::Lines(what) => Some(Action::Wheel { what: *what, by: by * LINES }),
        _ => Some(Action::Scroll(by)),
    }
}
