//! From a mouse event to an action, by what was drawn under it and by what is being carried. Pure.
//!
//! What is carried is captured when the button goes down and keeps every event until it comes up.
//! A plain move while the button should be down means that its release was lost (tmux does not
//! report one outside the pane): the token then goes back.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use crate::console::state::{Action, Column, ConsoleState, Hits, Means, Target, Token};
use crate::layout::CoreOwner;

/// What a mouse event means now; `None` when nothing.
pub(crate) fn interpret(event: MouseEvent, hits: &Hits, state: &ConsoleState) -> Option<Action> {
    let at = (event.column, event.row);
    let target = hits.at(event.column, event.row);
    let over = || target.and_then(|target| receiver(target, state));
    let modifier = event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    let means = state.carry.as_ref().map(|carry| carry.means);
    if let (Some(Target::Command(command)), Some(Means::Picked | Means::Keys)) = (target, means) {
        match event.kind {
            // what the footer offers while something is carried is about that
            MouseEventKind::Down(MouseButton::Left) => return Some(Action::Command(*command)),
            // on the way there the chosen row stays chosen
            MouseEventKind::Moved => return None,
            _ => {}
        }
    }
    if state.carry.as_ref().is_some_and(|carry| matches!(carry.token, Token::Placed { .. })) {
        return aim(event.kind, target, at, means?);
    }
    match (event.kind, means) {
        (MouseEventKind::Down(MouseButton::Left), None) => press(target?, at, state),
        (MouseEventKind::Down(MouseButton::Left), Some(Means::Picked | Means::Keys)) => {
            Some(Action::Drop { over: over(), modifier })
        }
        (MouseEventKind::Down(_), Some(_)) => Some(Action::Return("another button was pressed")),
        (MouseEventKind::Drag(MouseButton::Left), Some(Means::Held { .. }))
        | (MouseEventKind::Moved, Some(Means::Picked)) => {
            Some(Action::Hover { over: over(), at, modifier })
        }
        (MouseEventKind::Moved, Some(Means::Held { .. })) => {
            Some(Action::Return("the button's release was lost"))
        }
        (MouseEventKind::Up(MouseButton::Left), Some(Means::Held { origin, moved })) => {
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
        (MouseEventKind::ScrollUp, None) => wheel(target, 1),
        (MouseEventKind::ScrollDown, None) => wheel(target, -1),
        _ => None,
    }
}

fn key(code: KeyCode) -> Action {
    Action::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

/// The row that gets what is dropped on a target.
pub(crate) fn receiver(target: &Target, state: &ConsoleState) -> Option<CoreOwner> {
    match target {
        Target::Core(core) => state.core_party(*core),
        Target::RowCore(party) | Target::Row(party) => Some(party.clone()),
        Target::Instance(model) | Target::Field(model, _) => Some(CoreOwner::Model(model.clone())),
        Target::Pane(_)
        | Target::Gpu(_)
        | Target::Title(_)
        | Target::Command(_)
        | Target::Press(_)
        | Target::Item(_)
        | Target::Lines(_)
        | Target::Nothing => None,
    }
}

/// What the mouse does with a model that looks for a place.
fn aim(
    kind: MouseEventKind,
    target: Option<&Target>,
    at: (u16, u16),
    means: Means,
) -> Option<Action> {
    let place = match target {
        Some(Target::Gpu(place)) => Some(place.clone()),
        _ => None,
    };
    match (kind, means) {
        (MouseEventKind::Down(MouseButton::Left), Means::Picked | Means::Keys) => {
            Some(Action::Aim { place, at, drop: true })
        }
        (MouseEventKind::Down(_), _) => Some(Action::Return("another button was pressed")),
        (MouseEventKind::Drag(MouseButton::Left), Means::Held { .. })
        | (MouseEventKind::Moved, Means::Picked) => Some(Action::Aim { place, at, drop: false }),
        (MouseEventKind::Moved, Means::Held { .. }) => {
            Some(Action::Return("the button's release was lost"))
        }
        (MouseEventKind::Up(MouseButton::Left), Means::Held { origin, moved }) => {
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
    let token = match target {
        Target::Core(core) => state.token_at(*core),
        Target::RowCore(party) => state.row_token(party),
        Target::Instance(model) => Some(Token::Instances { count: 1, from: model.clone() }),
        Target::Gpu(place) => Some(Token::Gpu { place: place.clone() }),
        Target::Field(model, Column::Gpu) => {
            Some(Token::Placed { model: model.clone(), onto: None })
        }
        Target::Pane(pane) => return Some(Action::Expand(*pane)),
        Target::Command(command) => return Some(Action::Command(*command)),
        Target::Press(code) => return Some(key(*code)),
        Target::Nothing | Target::Lines(_) => return None,
        Target::Field(..) | Target::Row(_) | Target::Item(_) | Target::Title(_) => None,
    };
    Some(match token {
        Some(token) => Action::Grab { token, at },
        None => Action::Click(target.clone()),
    })
}

/// Lines that one step of the wheel moves.
const LINES: i32 = 3;

fn wheel(target: Option<&Target>, by: i32) -> Option<Action> {
    let step = |model: &String, column| Some(Action::Step { model: model.clone(), column, by });
    match target {
        Some(Target::Field(model, column)) => step(model, *column),
        Some(Target::RowCore(CoreOwner::Model(model))) => step(model, Column::Cores),
        Some(Target::Instance(model)) => step(model, Column::Instances),
        Some(Target::Nothing) | None => None,
        Some(Target::Lines(what)) => Some(Action::Wheel { what: *what, by: -by * LINES }),
        Some(_) => Some(Action::Scroll(-by)),
    }
}
