//! Navigation by arrows and digits: rows, columns, cores, panes, lines and drag receivers.

use super::action::Effect;
use super::drag::DragItem;
use super::hits::ScrollArea;
use super::{Column, ConsoleState, Pane, Screen};
use crate::layout::CoreOwner;

impl ConsoleState {
    /// Moves through the list that the arrows control now: receivers, layouts, cores, lines or
    /// rows.
    pub(super) fn walk(&mut self, by: i32) -> Vec<Effect> {
        if self.drag.is_some() {
            return self.next_receiver(by);
        }
        match self.screen {
            Screen::Layouts => {
                let at = self.layouts.at.saturating_add_signed(by as isize);
                return self.select_layout(at);
            }
            Screen::Detail | Screen::Machine | Screen::Memory | Screen::Journal => {
                self.scroll_lines(ScrollArea::Screen, by);
            }
            Screen::Log => self.log.scroll(by, self.scroll_limits.log),
            Screen::Board if self.focus == Pane::Changes => {
                self.scroll_lines(ScrollArea::Changes, by);
            }
            Screen::Board if self.focus == Pane::Cores => {
                // past the lower edge, the focus moves to the table
                self.leave_cores();
                if by > 0 { self.focus = Pane::Models } else { self.step_core(-8) }
            }
            Screen::Board => {
                let rows = self.rows();
                let at = rows.iter().position(|row| *row == self.selected).unwrap_or(0);
                if at == 0 && by == -1 {
                    self.focus = Pane::Cores;
                    self.step_core(0);
                } else {
                    let next =
                        at.saturating_add_signed(by as isize).min(rows.len().saturating_sub(1));
                    self.select(rows.get(next).cloned());
                }
            }
        }
        Vec::new()
    }

    /// Scrolls lines, within the limits of the last frame.
    pub(super) fn scroll_lines(&mut self, what: ScrollArea, by: i32) {
        let (first, most) = match what {
            ScrollArea::Screen if self.screen == Screen::Log => {
                return self.log.scroll(by, self.scroll_limits.log);
            }
            ScrollArea::Screen => (&mut self.scroll, self.scroll_limits.screen),
            ScrollArea::Changes => (&mut self.scroll_changes, self.scroll_limits.changes),
            ScrollArea::Preview => (&mut self.layouts.scroll, self.scroll_limits.preview),
        };
        // the limits may have become smaller since
        *first = (*first).min(most).saturating_add_signed(by as isize).min(most);
    }

    pub(super) fn select(&mut self, row: Option<CoreOwner>) {
        if let Some(row) = row {
            self.selected = row;
        }
    }

    fn next_receiver(&mut self, by: i32) -> Vec<Effect> {
        let Some(drag) = &self.drag else {
            return Vec::new();
        };
        let rows = self.rows();
        // a GPU has no row, so start at the selected row
        let start = match drag.item {
            DragItem::Gpu { .. } => self.selected.clone(),
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
        self.hover(to)
    }

    pub(super) fn sideways(&mut self, by: i32) {
        if self.screen == Screen::Board && self.focus == Pane::Cores && self.drag.is_none() {
            self.leave_cores();
            return self.step_core(by);
        }
        let at = Column::ALL.iter().position(|column| *column == self.column).unwrap_or(0);
        let next = at.saturating_add_signed(by as isize);
        self.column = Column::ALL.get(next).copied().unwrap_or(self.column);
    }

    /// Selects another core, in the order of ids.
    pub(super) fn step_core(&mut self, by: i32) {
        self.core = self.core_beside(by);
    }

    pub(super) fn next_pane(&mut self) {
        let at = Pane::ALL.iter().position(|pane| *pane == self.focus).unwrap_or(0);
        self.focus = Pane::ALL.get((at + 1) % Pane::ALL.len()).copied().unwrap_or_default();
        if self.focus == Pane::Cores {
            self.step_core(0);
        }
    }

    pub(super) fn jump(&mut self, number: usize) -> Vec<Effect> {
        let rows = self.rows();
        let at = if number == 0 { rows.len() } else { number };
        let row = rows.get(at.saturating_sub(1)).cloned();
        if self.drag.is_some() {
            return self.hover(row);
        }
        if self.screen == Screen::Layouts {
            return self.select_layout(number.saturating_sub(1));
        }
        self.select(row);
        Vec::new()
    }
}
