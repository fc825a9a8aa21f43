//! Navigation by arrows and digits: rows, columns, cores, panes, lines and drag receivers.

use super::action::Effect;
use super::console_state::ConsoleState;
use super::drag::DragItem;
use super::hits::ScrollArea;
use super::screen::{Column, Pane, Screen};
use super::{gestures, journal, layout_commands, selection};

/// Moves through the list that the arrows control now: receivers, layouts, cores, lines or
/// rows.
pub(super) fn move_by(state: &mut ConsoleState, by: i32) -> Vec<Effect> {
    if state.drag.is_some() {
        return next_receiver(state, by);
    }
    match state.screen {
        Screen::Layouts => {
            let at = state.layouts.at.saturating_add_signed(by as isize);
            return layout_commands::select_layout(state, at);
        }
        Screen::Detail
        | Screen::Machine
        | Screen::Memory
        | Screen::Connections
        | Screen::Alerts => {
            scroll_lines(state, ScrollArea::Screen, by);
        }
        Screen::Journal => journal::select_beside(state, by),
        Screen::Log => state.log.scroll(by, state.scroll_limits.log),
        Screen::Board if state.focus == Pane::Changes => {
            scroll_lines(state, ScrollArea::Changes, by);
        }
        Screen::Board if state.focus == Pane::Cores => {
            // past the lower edge, the focus moves to the table
            selection::clear_picked(state);
            if by > 0 { state.focus = Pane::Models } else { selection::step_core(state, -8) }
        }
        Screen::Board
            if by == -1 && !state.on_others && state.rows().first() == Some(&state.selected) =>
        {
            state.focus = Pane::Cores;
            selection::step_core(state, 0);
        }
        Screen::Board => selection::select_beside(state, by),
    }
    Vec::new()
}

/// Moves through the list under the wheel. On the board this is the table, whichever pane has the
/// focus.
pub(super) fn scroll_list(state: &mut ConsoleState, by: i32) -> Vec<Effect> {
    if state.screen == Screen::Board {
        state.focus = Pane::Models;
        selection::select_beside(state, by);
        return Vec::new();
    }
    move_by(state, by)
}

/// Scrolls lines, within the limits of the last frame.
pub(super) fn scroll_lines(state: &mut ConsoleState, what: ScrollArea, by: i32) {
    let (first, most) = match what {
        ScrollArea::Screen if state.screen == Screen::Log => {
            return state.log.scroll(by, state.scroll_limits.log);
        }
        ScrollArea::Screen => (&mut state.scroll, state.scroll_limits.screen),
        ScrollArea::Changes => (&mut state.scroll_changes, state.scroll_limits.changes),
        ScrollArea::Preview if state.screen == Screen::Journal => {
            (&mut state.scroll, state.scroll_limits.preview)
        }
        ScrollArea::Preview => (&mut state.layouts.scroll, state.scroll_limits.preview),
    };
    // the limits may have become smaller since
    *first = (*first).min(most).saturating_add_signed(by as isize).min(most);
}

fn next_receiver(state: &mut ConsoleState, by: i32) -> Vec<Effect> {
    let Some(drag) = &state.drag else {
        return Vec::new();
    };
    let rows = state.rows();
    // a GPU has no row, so start at the selected row
    let start = match drag.item {
        DragItem::Gpu { .. } => state.selected.clone(),
        _ => drag.item.donor(),
    };
    let from = drag.receiver.clone().unwrap_or(start);
    let at = rows.iter().position(|row| *row == from).unwrap_or(0);
    let last = rows.len().saturating_sub(1);
    let mut next = at.saturating_add_signed(by as isize).min(last);
    // skip the donor if there is a row beyond it
    if rows.get(next).is_some_and(|row| drag.item.is_only_of(row)) {
        next = next.saturating_add_signed(by.signum() as isize).min(last);
    }
    let to = rows.get(next).cloned();
    gestures::hover(state, to)
}

pub(super) fn sideways(state: &mut ConsoleState, by: i32) {
    if state.screen == Screen::Board && state.focus == Pane::Cores && state.drag.is_none() {
        selection::clear_picked(state);
        return selection::step_core(state, by);
    }
    let at = Column::ALL.iter().position(|column| *column == state.column).unwrap_or(0);
    let next = at.saturating_add_signed(by as isize);
    state.column = Column::ALL.get(next).copied().unwrap_or(state.column);
}

pub(super) fn next_pane(state: &mut ConsoleState) {
    let at = Pane::ALL.iter().position(|pane| *pane == state.focus).unwrap_or(0);
    state.focus = Pane::ALL.get((at + 1) % Pane::ALL.len()).copied().unwrap_or_default();
    if state.focus == Pane::Cores {
        selection::step_core(state, 0);
    }
}

pub(super) fn jump(state: &mut ConsoleState, number: usize) -> Vec<Effect> {
    let rows = state.rows();
    let at = if number == 0 { rows.len() } else { number };
    let row = rows.get(at.saturating_sub(1)).cloned();
    if state.drag.is_some() {
        return gestures::hover(state, row);
    }
    if state.screen == Screen::Layouts {
        return layout_commands::select_layout(state, number.saturating_sub(1));
    }
    selection::select(state, row);
    Vec::new()
}
