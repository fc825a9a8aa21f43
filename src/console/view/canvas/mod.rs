//! The drawing surface: clipped text, pane frames, wrapped lines and the click targets of a frame.

mod pane_frame;
mod parts;
mod pen;
mod surface;
mod text;

pub(super) use pane_frame::{Border, PaneFrame};
pub(super) use parts::Part;
pub(super) use pen::{Pen, row};
pub(super) use surface::Canvas;
pub(super) use text::{StyledLine, StyledText, flow, hidden_rows, wrap};
