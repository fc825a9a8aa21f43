//! A buffer with the state that is drawn into it, and the click targets drawn so far.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};

use super::{Pen, StyledLine, row, wrap};
use crate::console::format;
use crate::console::state::{ConsoleState, HitMap, ScrollArea, Target};

/// A buffer, the state that is drawn into it, and the click targets drawn so far.
pub(crate) struct Canvas<'a> {
    /// The state that is drawn.
    pub state: &'a ConsoleState,
    buffer: &'a mut Buffer,
    hits: HitMap,
}

impl<'a> Canvas<'a> {
    /// Starts a frame.
    pub(crate) fn new(state: &'a ConsoleState, buffer: &'a mut Buffer) -> Self {
        Self { state, buffer, hits: HitMap::default() }
    }

    /// Ends the frame and returns its click targets.
    pub(crate) fn into_hits(self) -> HitMap {
        self.hits
    }

    /// Writes text and moves the pen behind it. Text without room is cut.
    pub(crate) fn put(&mut self, pen: &mut Pen, text: &str, style: Style) {
        let inside = self.buffer.area.contains(Position::new(pen.x, pen.y));
        if !inside || pen.room() == 0 {
            return;
        }
        let (x, _) = self.buffer.set_stringn(pen.x, pen.y, text, pen.room() as usize, style);
        pen.x = x;
    }

    /// Writes text, cut to the pen's room with an ellipsis.
    pub(crate) fn put_fit(&mut self, pen: &mut Pen, text: &str, style: Style) {
        let cut = format::fit(text, pen.room() as usize, self.state.glyphs.ellipsis);
        self.put(pen, &cut, style);
    }

    /// Writes a scrolled list into the inside of a boxed frame, from line `from` or from the last
    /// line that still fills the area.
    pub(crate) fn put_lines(
        &mut self,
        list: ScrollArea,
        inside: Rect,
        lines: &[StyledLine],
        from: usize,
    ) {
        let first = self.scroll_to(list, inside, lines.len(), from);
        self.note_more_below(inside, lines.len() - first);
        self.put_from(inside, lines, first);
    }

    /// Writes the lines from `first` on, as many as fit.
    pub(crate) fn put_from(&mut self, area: Rect, lines: &[StyledLine], first: usize) {
        for (index, line) in lines.iter().skip(first).enumerate() {
            let Some(mut pen) = row(area, index) else {
                break;
            };
            for (text, style) in line {
                self.put_fit(&mut pen, text, *style);
            }
        }
    }

    /// Lets the wheel scroll a list of `count` lines in a rectangle. Returns the first line to show:
    /// `from`, or an earlier line if the list ends before it fills the rectangle.
    pub(crate) fn scroll_to(
        &mut self,
        list: ScrollArea,
        area: Rect,
        count: usize,
        from: usize,
    ) -> usize {
        let last = count.saturating_sub(area.height as usize);
        let limits = &mut self.hits.scroll_limits;
        match list {
            ScrollArea::Screen => limits.screen = last,
            ScrollArea::Changes => limits.changes = last,
            ScrollArea::Preview => limits.preview = last,
        }
        self.hit(area, Target::Lines(list));
        from.min(last)
    }

    /// Writes into the lower border around `inside` how many of the `rest` lines are below it.
    pub(crate) fn note_more_below(&mut self, inside: Rect, rest: usize) {
        let below = rest.saturating_sub(inside.height as usize);
        if below > 0 {
            let mut pen = Pen { x: inside.x, y: inside.bottom(), end: inside.right() };
            self.put_end(&mut pen, &format!(" {below} more below "), self.state.theme.title);
        }
    }

    /// Records how many lines of the log, from the oldest on, fill its screen.
    pub(crate) fn set_log_fill(&mut self, lines: usize) {
        self.hits.scroll_limits.log = lines;
    }

    /// Writes text at the right of a field of `size` columns.
    pub(crate) fn put_right(&mut self, pen: &mut Pen, text: &str, size: usize, style: Style) {
        self.put(pen, &format::right(text, size), style);
    }

    /// Writes text at the left of a field of `size` columns.
    pub(crate) fn put_left(&mut self, pen: &mut Pen, text: &str, size: usize, style: Style) {
        let text = format::left(text, size, self.state.glyphs.ellipsis);
        self.put(pen, &text, style);
    }

    /// Writes text that ends at the end of the pen; nothing if it does not fit.
    pub(crate) fn put_end(&mut self, pen: &mut Pen, text: &str, style: Style) {
        let size = u16::try_from(format::width(text)).unwrap_or(u16::MAX);
        if size <= pen.room() {
            let mut at = Pen { x: pen.end - size, ..*pen };
            self.put(&mut at, text, style);
            pen.end -= size;
        }
    }

    /// Writes a message into an empty pane, on as many rows as it needs.
    pub(crate) fn note(&mut self, area: Rect, text: &str, style: Style) {
        for (index, line) in wrap(text, area.width as usize).iter().enumerate() {
            if let Some(mut pen) = row(area, index) {
                self.put_fit(&mut pen, line, style);
            }
        }
    }

    /// Adds a style to the cells of a rectangle.
    pub(crate) fn tint(&mut self, area: Rect, style: Style) {
        self.buffer.set_style(area.intersection(self.buffer.area), style);
    }

    /// Adds a style to the cells of a rectangle that have no background and are not reversed.
    pub(crate) fn tint_plain(&mut self, area: Rect, style: Style) {
        for place in area.intersection(self.buffer.area).positions() {
            if let Some(cell) = self.buffer.cell_mut(place)
                && cell.bg == Color::Reset
                && !cell.modifier.contains(Modifier::REVERSED)
            {
                cell.set_style(style);
            }
        }
    }

    /// Empties a rectangle.
    pub(crate) fn clear(&mut self, area: Rect) {
        for place in area.intersection(self.buffer.area).positions() {
            if let Some(cell) = self.buffer.cell_mut(place) {
                cell.reset();
                cell.set_style(self.state.theme.text);
            }
        }
    }

    /// Adds a click target.
    pub(crate) fn hit(&mut self, area: Rect, target: Target) {
        self.hits.add(area.intersection(self.buffer.area), target);
    }
}
