//! The arithmetic of layouts: a layout meets a machine, changes are computed whole or refused
//! whole, and their consequences told. Pure: the same state, change and machine give the same.
//!
//! - [`Desired::resolve`](super::Desired::resolve): a layout on a machine
//! - [`Desired::change`](super::Desired::change): the state after a change
//! - [`Desired::plan`](super::Desired::plan): what a change does, in numbers and words
//! - [`Desired::restore`](super::Desired::restore): the way back
//! - [`Desired::refit`](super::Desired::refit): the machine changed under us
//! - [`Desired::ledger`](super::Desired::ledger): who has what
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

pub use restore::{Frame, Side};
pub(super) use words::memory_above;

#[cfg(test)]
mod tests;
