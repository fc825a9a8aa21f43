//! The latency pane.

mod marks;
mod pane;
mod scale;

pub(super) use pane::{draw, key};
