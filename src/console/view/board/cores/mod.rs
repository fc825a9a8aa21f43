//! The cores pane.

mod arrangement;
mod cell;
mod pane;

pub(super) use arrangement::{height, shows_letters};
pub(super) use pane::draw;
