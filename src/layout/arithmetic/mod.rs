//! The arithmetic of layouts: a layout meets a machine, changes are computed whole or refused
//! whole, and their consequences told. Pure: the same state, change and machine give the same.
//!
//! - [`DesiredState::resolve`](super::DesiredState::resolve): a layout on a machine
//! - [`DesiredState::change`](super::DesiredState::change): the state after a change
//! - [`DesiredState::plan`](super::DesiredState::plan): what a change does, in numbers and words
//! - [`DesiredState::restore`](super::DesiredState::restore): the way back
//! - [`DesiredState::refit`](super::DesiredState::refit): the machine changed under us
//! - [`DesiredState::ledger`](super::DesiredState::ledger): who has what
//!
//! Two invariants hold in every state that comes out: a core that a row has reserved is in no other
//! row, and a row's threads and instances follow from its budget and its cores alone (a row without
//! cores keeps the width it had).

mod bounds;
mod draft;
mod edit;
mod ledger;
mod plan;
mod refit;
mod resolve;
mod restore;
mod split;
mod transfer;
mod warnings;
mod weight;
mod words;

pub use restore::{ChangeSide, LayoutOutline};
pub(super) use words::memory_above;

#[cfg(test)]
mod tests;
