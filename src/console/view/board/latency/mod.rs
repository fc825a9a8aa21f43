//! The latency pane.

mod marks;
mod pane;
mod process_list;
mod scale;

pub(super) use pane::{draw, key};
