//! The label that follows the pointer during a drag.

use ratatui::layout::Rect;

use super::owner_name::owner_name;
use crate::console::format;
use crate::console::state::{DragItem, gpus};
use crate::console::view::canvas::{Canvas, Pen};

/// Draws the label.
pub(in crate::console::view) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let Some(drag) = &state.drag else {
        return;
    };
    let Some((x, y)) = drag.pointer.filter(|_| !state.reduced_motion) else {
        return;
    };
    let verb = if drag.shares() { "share " } else { "" };
    // GPUs are next to the footer, whose hint about the drop must stay visible
    let (to, keep) = match &drag.item {
        DragItem::Placed { onto: Some(place), .. } => (gpus::title(place), 2),
        _ => (drag.receiver.as_ref().map_or("", |to| owner_name(to)).to_owned(), 0),
    };
    let to = format::fit(&to, 20, state.glyphs.ellipsis);
    let arrow = if to.is_empty() { "" } else { state.glyphs.arrow };
    let text = format!(" {verb}{} {arrow} {to}", drag.item.title());
    let text = format!("{} ", text.trim_end());
    let width = format::width(&text) as u16;
    // beside the pointer, never under it, and inside the screen
    let x = if x + 2 + width <= area.right() { x + 2 } else { x.saturating_sub(width + 1) };
    let y = if y + 1 + keep < area.bottom() { y + 1 } else { y.saturating_sub(1) };
    canvas.put(&mut Pen { x, y, end: area.right() }, &text, state.theme.ghost);
}
