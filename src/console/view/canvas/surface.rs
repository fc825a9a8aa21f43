//! A buffer with the state that is drawn into it, and the click targets drawn so far.

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};

use super::parts::{Part, Parts};
use super::{Pen, StyledLine, hidden_rows, row, wrap};
use crate::console::format;
use crate::console::state::{ConsoleState, HitMap, ScrollArea, ScrollLimits, Target};

/// A buffer, the state that is drawn into it, and the click targets drawn so far.
pub(crate) struct Canvas<'a> {
    /// The state that is drawn.
    pub state: &'a ConsoleState,
    buffer: &'a mut Buffer,
    pub(super) hits: HitMap,
    pub(super) parts: Parts,
}

impl<'a> Canvas<'a> {
    /// Starts a whole frame in an empty buffer.
    pub(crate) fn new(state: &'a ConsoleState, buffer: &'a mut Buffer) -> Self {
        let area = buffer.area;
        buffer.set_style(area, state.theme.text);
        Self { state, buffer, hits: HitMap::default(), parts: Parts::default() }
    }

    /// Starts a frame over the last one, of which only the changed parts are drawn.
    pub(crate) fn with_parts(
        state: &'a ConsoleState,
        buffer: &'a mut Buffer,
        parts: Vec<Part>,
        limits: ScrollLimits,
    ) -> Self {
        let mut hits = HitMap::default();
        hits.scroll_limits = limits;
        Self { state, buffer, hits, parts: Parts::after(parts) }
    }

    /// Returns the area of the whole frame.
    pub(crate) fn area(&self) -> Rect {
        self.buffer.area
    }

    /// Returns the areas drawn so far in a frame of which only the changed parts are drawn.
    pub(crate) fn take_dirty(&mut self) -> Vec<Rect> {
        std::mem::take(&mut self.parts.dirty)
    }

    /// Ends the frame. Returns its click targets and its parts; `None` if the parts are not those of
    /// the last frame.
    pub(crate) fn finish(mut self) -> Option<(HitMap, Vec<Part>)> {
        self.collect_part_hits();
        Some((self.hits, self.parts.finish()?))
    }

    /// Writes text and moves the pen behind it. Text without room is cut.
    pub(crate) fn put(&mut self, pen: &mut Pen, text: &str, style: Style) {
        if format::is_narrow(text) {
            return self.put_narrow(pen, text.chars(), style);
        }
        let inside = self.buffer.area.contains(Position::new(pen.x, pen.y));
        if !inside || pen.room() == 0 {
            return;
        }
        let (x, _) = self.buffer.set_stringn(pen.x, pen.y, text, pen.room() as usize, style);
        pen.x = x;
    }

    /// Writes characters of one column each, without looking for wider ones.
    fn put_narrow(&mut self, pen: &mut Pen, text: impl Iterator<Item = char>, style: Style) {
        let room = Rect { x: pen.x, y: pen.y, width: pen.room(), height: 1 };
        for (cell, letter) in self.cells(room).iter_mut().zip(text) {
            cell.set_char(letter).set_style(style);
            pen.x += 1;
        }
    }

    /// Writes a character of one column several times.
    pub(crate) fn put_repeated(&mut self, pen: &mut Pen, glyph: &str, count: usize, style: Style) {
        self.put_narrow(pen, glyph.chars().cycle().take(count), style);
    }

    /// Returns the cells of the first row of a rectangle; none if it starts outside the buffer.
    fn cells(&mut self, row: Rect) -> &mut [Cell] {
        if !self.buffer.area.contains(Position::new(row.x, row.y)) {
            return &mut [];
        }
        let start = self.buffer.index_of(row.x, row.y);
        let end = row.right().min(self.buffer.area.right());
        let end = start + usize::from(end.saturating_sub(row.x));
        self.buffer.content.get_mut(start..end).unwrap_or_default()
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
        if let Some(hidden) = hidden_rows(0, rest.saturating_sub(inside.height as usize)) {
            self.note_hidden(inside, &hidden);
        }
    }

    /// Writes into the lower border around `inside` which rows are hidden.
    pub(crate) fn note_hidden(&mut self, inside: Rect, hidden: &str) {
        let mut pen = Pen { x: inside.x, y: inside.bottom(), end: inside.right() };
        self.put_end(&mut pen, &format!(" {hidden} "), self.state.theme.title);
    }

    /// Records that the frame is too small for the console.
    pub(crate) fn set_too_small(&mut self) {
        self.hits.too_small = true;
    }

    /// Records how many lines of the log, from the oldest on, fill its screen.
    pub(crate) fn set_log_fill(&mut self, lines: usize) {
        self.hits.scroll_limits.log = lines;
    }

    /// Records the highest first line of the open dialog that still fills it.
    pub(crate) fn set_dialog_limit(&mut self, first: usize) {
        self.hits.scroll_limits.dialog = first;
    }

    /// Writes text at the right of a field of `size` columns.
    pub(crate) fn put_right(&mut self, pen: &mut Pen, text: &str, size: usize, style: Style) {
        let text = format::fit(text, size, ">");
        self.put_repeated(pen, " ", size.saturating_sub(format::width(&text)), style);
        self.put(pen, &text, style);
    }

    /// Writes text at the left of a field of `size` columns.
    pub(crate) fn put_left(&mut self, pen: &mut Pen, text: &str, size: usize, style: Style) {
        let text = format::fit(text, size, self.state.glyphs.ellipsis);
        self.put(pen, &text, style);
        self.put_repeated(pen, " ", size.saturating_sub(format::width(&text)), style);
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
        for row in area.rows() {
            for cell in self.cells(row) {
                if cell.bg == Color::Reset && !cell.modifier.contains(Modifier::REVERSED) {
                    cell.set_style(style);
                }
            }
        }
    }

    /// Greys the cells of a rectangle, which show what is no longer current.
    pub(crate) fn grey(&mut self, area: Rect) {
        let dim = self.state.theme.dim;
        for row in area.intersection(self.buffer.area).rows() {
            for cell in self.cells(row) {
                let is_filled = cell.bg != Color::Reset;
                let is_reversed = cell.modifier.contains(Modifier::REVERSED);
                cell.set_style(Style::reset());
                cell.set_style(dim);
                if is_filled || is_reversed {
                    cell.modifier.insert(Modifier::REVERSED);
                }
            }
        }
    }

    /// Empties a rectangle.
    pub(crate) fn clear(&mut self, area: Rect) {
        let mut empty = Cell::EMPTY;
        empty.set_style(self.state.theme.text);
        for row in area.rows() {
            self.cells(row).fill(empty.clone());
        }
    }

    /// Adds a click target.
    pub(crate) fn hit(&mut self, area: Rect, target: Target) {
        self.hits.add(area.intersection(self.buffer.area), target);
    }

    /// Draws a part unless its key and place are those of the last frame. `draw` must not draw
    /// outside `area`, and must depend only on values that are in `key` or in the settings of the
    /// whole frame. Without a key the part is always drawn.
    pub(crate) fn part(&mut self, area: Rect, key: Option<u64>, draw: impl FnOnce(&mut Self)) {
        let index = self.parts.drawn.len();
        if let Some(last) = &mut self.parts.last {
            match last.get_mut(index) {
                Some(last) if last.area == area => {
                    let clean = !self.parts.dirty.iter().any(|dirty| dirty.intersects(area));
                    if key.is_some() && last.key == key && clean {
                        let part = std::mem::take(last);
                        self.parts.drawn.push(part);
                        return;
                    }
                }
                _ => self.parts.moved = true,
            }
            self.parts.dirty.push(area);
            self.clear(area);
        }
        let before = std::mem::take(&mut self.hits);
        self.hits.scroll_limits = before.scroll_limits;
        draw(self);
        let drawn = std::mem::replace(&mut self.hits, before);
        self.hits.scroll_limits = drawn.scroll_limits;
        self.parts.drawn.push(Part { area, key, hits: drawn.into_places().into() });
    }

    /// Adds the click targets of all parts to the frame's.
    pub(super) fn collect_part_hits(&mut self) {
        for part in &self.parts.drawn {
            self.hits.add_part(part.hits.clone());
        }
    }
}
