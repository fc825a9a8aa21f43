//! The last two lines: a hint and the keys, and the label at the pointer during a drag.

mod drag_label;
mod hint;
mod keys;
mod owner_name;

pub(super) use drag_label::draw as draw_drag_label;
pub(super) use hint::{Hint, draw as draw_hint};
pub(super) use keys::draw as draw_keys;
