//! The cores pane.

mod arrangement;
mod cell;
mod lent_cores;
mod owners;
mod pane;

pub(super) use arrangement::Arranger;
pub(in crate::console::view) use owners::CoreOwners;
pub(super) use pane::{draw, key};
