//! The frame of a pane: a box with a title, or a ruled title line.

use ratatui::layout::{Margin, Rect};

use super::{Canvas, Pen};
use crate::console::state::{Pane, Target};

/// The border of a pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Border {
    /// A line on each of the four sides.
    Box,
    /// A line at the top only.
    Rule,
}

impl Border {
    /// Returns the rows that the border takes.
    pub(crate) fn rows(self) -> u16 {
        match self {
            Self::Box => 2,
            Self::Rule => 1,
        }
    }

    /// Returns the columns that the border takes.
    pub(crate) fn columns(self) -> u16 {
        match self {
            Self::Box => 4,
            Self::Rule => 2,
        }
    }

    /// Returns the area inside the border of a pane.
    pub(crate) fn inside(self, area: Rect) -> Rect {
        if area.height == 0 || area.width < 4 {
            return Rect { height: 0, ..area };
        }
        match self {
            Self::Rule => {
                let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
                below.inner(Margin::new(1, 0))
            }
            Self::Box => Rect {
                x: area.x + 2,
                y: area.y + 1,
                width: area.width.saturating_sub(4),
                height: area.height.saturating_sub(2),
            },
        }
    }
}

/// A pane's frame, to be drawn by [`Canvas::frame`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct PaneFrame<'t> {
    area: Rect,
    border: Border,
    pane: Option<Pane>,
    title: &'t str,
    note: &'t str,
}

impl<'t> PaneFrame<'t> {
    /// A box around a whole screen or a dialog.
    pub(crate) fn boxed(area: Rect, title: &'t str) -> Self {
        Self { area, border: Border::Box, pane: None, title, note: "" }
    }

    /// The frame of one of the board's panes. A click on its title expands the pane.
    pub(crate) fn of_pane(pane: Pane, area: Rect, border: Border, title: &'t str) -> Self {
        Self { area, border, pane: Some(pane), title, note: "" }
    }

    /// Adds a note at the right end of the title line. It is left out if there is no room for it.
    pub(crate) fn note(self, note: &'t str) -> Self {
        Self { note, ..self }
    }
}

impl Canvas<'_> {
    /// Draws a pane's frame and returns the area inside it.
    pub(crate) fn frame(&mut self, frame: PaneFrame<'_>) -> Rect {
        let PaneFrame { area, border, pane, title, note } = frame;
        let inside = border.inside(area);
        if area.height == 0 || area.width < 4 {
            return inside;
        }
        let theme = &self.state.theme;
        let (line, dim) = (theme.frame, theme.dim);
        let focused = pane.is_some_and(|pane| pane == self.state.focus);
        let head = if focused { theme.focus } else { theme.title };
        let [across, down, top_left, top_right, bottom_right, bottom_left] =
            self.state.glyphs.frame;
        let boxed = border == Border::Box;
        let rule = |canvas: &mut Self, mut pen: Pen, [left, right]: [&str; 2]| {
            let (left, right) = if boxed { (left, right) } else { (across, across) };
            canvas.put(&mut pen, left, line);
            canvas.put_repeated(&mut pen, across, usize::from(area.width - 2), line);
            canvas.put(&mut pen, right, line);
        };
        let full = Pen { x: area.x, y: area.y, end: area.right() };
        rule(self, full, [top_left, top_right]);
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
            rule(self, Pen { y: area.bottom() - 1, ..full }, [bottom_left, bottom_right]);
        }
        inside
    }
}
