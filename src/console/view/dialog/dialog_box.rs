//! The box of a dialog, in the middle of the screen.

use ratatui::layout::Rect;

use crate::console::state::Target;
use crate::console::view::canvas::{Canvas, PaneFrame};

/// A framed box over the middle of the screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct DialogBox<'t> {
    /// Columns, borders included, if the screen has room for them.
    pub(super) width: u16,
    /// Rows, borders included, if the screen has room for them.
    pub(super) height: u16,
    /// The title at the left of the upper border.
    pub(super) title: &'t str,
    /// The note at the right of the upper border; empty for none.
    pub(super) note: &'t str,
}

impl DialogBox<'_> {
    /// Draws the empty box over `area` and returns its inside. Clicks beside it do nothing.
    pub(super) fn draw(self, canvas: &mut Canvas, area: Rect) -> Rect {
        let width = self.width.min(area.width.saturating_sub(2));
        let height = self.height.min(area.height.saturating_sub(2));
        let place = Rect {
            x: area.x + (area.width - width) / 2,
            y: area.y + (area.height - height) / 2,
            width,
            height,
        };
        canvas.clear(place);
        canvas.hit(area, Target::Nothing);
        canvas.frame(PaneFrame::boxed(place, self.title).note(self.note))
    }
}

/// Returns the columns inside a box that is `width` columns wide if `area` has room for it.
pub(super) fn columns_inside(area: Rect, width: u16) -> usize {
    width.min(area.width.saturating_sub(2)).saturating_sub(4).into()
}
