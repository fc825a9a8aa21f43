//! The drawing surface of a frame: clipped text, frames of panes, and the places that can be
//! clicked, noted as they are drawn.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};

use crate::console::format;
use crate::console::state::{ConsoleState, Hits, Pane, Scrolled, Target};

/// A buffer, what is drawn into it, and the places noted so far.
pub struct Canvas<'a> {
    /// What is drawn.
    pub state: &'a ConsoleState,
    buffer: &'a mut Buffer,
    hits: Hits,
}

/// A line of styled parts.
pub type Line = Vec<(String, Style)>;

/// A place on a row from which text goes on to the right, up to an end.
#[derive(Clone, Copy, Debug)]
pub struct Pen {
    /// The next column.
    pub x: u16,
    /// The row.
    pub y: u16,
    /// The column that text does not reach.
    pub end: u16,
}

impl Pen {
    /// Columns left.
    pub fn room(&self) -> u16 {
        self.end.saturating_sub(self.x)
    }
}

/// The row `index` of a rectangle, as a pen; `None` below its end.
pub fn row(area: Rect, index: usize) -> Option<Pen> {
    let index = u16::try_from(index).ok().filter(|index| *index < area.height)?;
    Some(Pen { x: area.x, y: area.y + index, end: area.right() })
}

impl<'a> Canvas<'a> {
    /// Starts a frame.
    pub fn new(state: &'a ConsoleState, buffer: &'a mut Buffer) -> Self {
        Self { state, buffer, hits: Hits::default() }
    }

    /// The places that were noted.
    pub fn into_hits(self) -> Hits {
        self.hits
    }

    /// Writes text and moves the pen behind it. What does not fit is cut.
    pub fn put(&mut self, pen: &mut Pen, text: &str, style: Style) {
        let inside = self.buffer.area.contains(Position::new(pen.x, pen.y));
        if !inside || pen.room() == 0 {
            return;
        }
        let (x, _) = self.buffer.set_stringn(pen.x, pen.y, text, pen.room() as usize, style);
        pen.x = x;
    }

    /// Writes text cut to the pen's room with an ellipsis.
    pub fn put_fit(&mut self, pen: &mut Pen, text: &str, style: Style) {
        let cut = format::fit(text, pen.room() as usize, self.state.glyphs.ellipsis);
        self.put(pen, &cut, style);
    }

    /// Writes lines of styled parts below each other into the inside of a boxed frame, as far as
    /// `from` was scrolled and no further than to the last one.
    pub fn put_lines(&mut self, what: Scrolled, inside: Rect, lines: &[Line], from: usize) {
        let first = self.scrolls(what, inside, lines.len(), from);
        self.more_below(inside, lines.len() - first);
        self.put_from(inside, lines, first);
    }

    /// The same without a word about what lies below.
    pub fn put_from(&mut self, area: Rect, lines: &[Line], first: usize) {
        for (index, line) in lines.iter().skip(first).enumerate() {
            let Some(mut pen) = row(area, index) else {
                break;
            };
            for (text, style) in line {
                self.put_fit(&mut pen, text, *style);
            }
        }
    }

    /// Lets the wheel move `count` lines in a rectangle. Answers the first one to show, where `from`
    /// is asked for: the last ones fill it.
    pub fn scrolls(&mut self, what: Scrolled, area: Rect, count: usize, from: usize) -> usize {
        let most = count.saturating_sub(area.height as usize);
        let extent = &mut self.hits.extent;
        match what {
            Scrolled::Screen => extent.screen = most,
            Scrolled::Changes => extent.changes = most,
            Scrolled::Preview => extent.preview = most,
        }
        self.hit(area, Target::Lines(what));
        from.min(most)
    }

    /// Says in the lower line of the frame around `inside` how many of the `rest` lines lie below.
    pub fn more_below(&mut self, inside: Rect, rest: usize) {
        let below = rest.saturating_sub(inside.height as usize);
        if below > 0 {
            let mut pen = Pen { x: inside.x, y: inside.bottom(), end: inside.right() };
            self.put_end(&mut pen, &format!(" {below} more below "), self.state.theme.title);
        }
    }

    /// Notes how many lines of the log fill its screen from the beginning.
    pub fn fills_log(&mut self, lines: usize) {
        self.hits.extent.log = lines;
    }

    /// Writes a number at the right of a field of `size` columns.
    pub fn put_right(&mut self, pen: &mut Pen, text: &str, size: usize, style: Style) {
        self.put(pen, &format::right(text, size), style);
    }

    /// Writes text at the left of a field of `size` columns.
    pub fn put_left(&mut self, pen: &mut Pen, text: &str, size: usize, style: Style) {
        let text = format::left(text, size, self.state.glyphs.ellipsis);
        self.put(pen, &text, style);
    }

    /// Writes text that ends at the right end of the pen; nothing where it does not fit.
    pub fn put_end(&mut self, pen: &mut Pen, text: &str, style: Style) {
        let size = u16::try_from(format::width(text)).unwrap_or(u16::MAX);
        if size <= pen.room() {
            let mut at = Pen { x: pen.end - size, ..*pen };
            self.put(&mut at, text, style);
            pen.end -= size;
        }
    }

    /// Adds a style to what is already drawn.
    pub fn tint(&mut self, area: Rect, style: Style) {
        self.buffer.set_style(area.intersection(self.buffer.area), style);
    }

    /// Adds a style to one place unless something there has a background or stands out already.
    pub fn tint_under(&mut self, x: u16, y: u16, style: Style) {
        if let Some(cell) = self.buffer.cell_mut(Position::new(x, y))
            && cell.bg == Color::Reset
            && !cell.modifier.contains(Modifier::REVERSED)
        {
            cell.set_style(style);
        }
    }

    /// Empties a rectangle.
    pub fn clear(&mut self, area: Rect) {
        for place in area.intersection(self.buffer.area).positions() {
            if let Some(cell) = self.buffer.cell_mut(place) {
                cell.reset();
                cell.set_style(self.state.theme.text);
            }
        }
    }

    /// Notes what a place means.
    pub fn hit(&mut self, area: Rect, target: Target) {
        self.hits.add(area.intersection(self.buffer.area), target);
    }

    /// Draws a pane's frame: four sides where it is `boxed`, else a ruled title. Answers the inside.
    pub fn frame(
        &mut self,
        area: Rect,
        boxed: bool,
        pane: Option<Pane>,
        title: &str,
        note: &str,
    ) -> Rect {
        let inside = inside(area, boxed);
        if area.height == 0 || area.width < 4 {
            return inside;
        }
        let theme = &self.state.theme;
        let (line, dim) = (theme.frame, theme.dim);
        let focused = pane.is_some_and(|pane| pane == self.state.focus);
        let head = if focused { theme.focus } else { theme.title };
        let [across, down, top_left, top_right, bottom_right, bottom_left] =
            self.state.glyphs.frame;
        let width = area.width as usize;
        let rule = |left: &str, right: &str| {
            let (left, right) = if boxed { (left, right) } else { (across, across) };
            format!("{left}{}{right}", across.repeat(width.saturating_sub(2)))
        };
        let full = Pen { x: area.x, y: area.y, end: area.right() };
        self.put(&mut full.clone(), &rule(top_left, top_right), line);
        let mut pen = Pen { x: area.x + 1, end: area.right() - 1, ..full };
        self.put(&mut pen, " ", line);
        let mut inner = Pen { end: pen.end.saturating_sub(1), ..pen };
        self.put_fit(&mut inner, title, head);
        self.put(&mut inner, " ", line);
        if !note.is_empty() {
            inner.x += 1;
            self.put_end(&mut inner, &format!(" {note} "), dim);
        }
        if let Some(pane) = pane {
            self.hit(Rect { height: 1, ..area }, Target::Pane(pane));
        }
        if !boxed {
            return inside;
        }
        for y in area.y + 1..area.bottom().saturating_sub(1) {
            self.put(&mut Pen { y, ..full }, down, line);
            self.put(&mut Pen { x: area.right() - 1, y, ..full }, down, line);
        }
        if area.height > 1 {
            let foot = Pen { y: area.bottom() - 1, ..full };
            self.put(&mut foot.clone(), &rule(bottom_left, bottom_right), line);
        }
        inside
    }

    /// Writes a sentence into an empty pane, over as many rows as it needs.
    pub fn note(&mut self, area: Rect, text: &str, style: Style) {
        for (index, line) in wrap(text, area.width as usize).iter().enumerate() {
            if let Some(mut pen) = row(area, index) {
                self.put_fit(&mut pen, line, style);
            }
        }
    }
}

/// The inside of a frame as [`Canvas::frame`] draws it.
pub fn inside(area: Rect, boxed: bool) -> Rect {
    if area.height == 0 || area.width < 4 {
        return Rect { height: 0, ..area };
    }
    if !boxed {
        let inside = Rect { y: area.y + 1, height: area.height - 1, ..area };
        return inside.inner(ratatui::layout::Margin::new(1, 0));
    }
    Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: area.width.saturating_sub(4),
        height: area.height.saturating_sub(2),
    }
}

/// Breaks a sentence at its spaces into lines of at most `width` columns (longer words stay whole).
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if format::width(line) + 1 + format::width(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
