//! A writing position on one row.

use ratatui::layout::Rect;

/// A position from which text continues to the right, up to an end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pen {
    /// The next column.
    pub x: u16,
    /// The row.
    pub y: u16,
    /// The first column that text does not reach.
    pub end: u16,
}

impl Pen {
    /// Returns the number of free columns.
    pub(crate) fn room(self) -> u16 {
        self.end.saturating_sub(self.x)
    }
}

/// Returns a pen at the start of row `index` of a rectangle; `None` below its last row.
pub(crate) fn row(area: Rect, index: usize) -> Option<Pen> {
    let index = u16::try_from(index).ok().filter(|index| *index < area.height)?;
    Some(Pen { x: area.x, y: area.y + index, end: area.right() })
}
