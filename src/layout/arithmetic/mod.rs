//! The arithmetic of layouts: places a layout on a machine, computes changes and describes their
//! consequences.
//!
//! Everything here is pure: the same state, change and machine always give the same result. A
//! change is applied as a whole or refused as a whole. `operations.rs` lists all operations.
//!
//! Two invariants hold in every resulting state: a core that a row reserves is in no other row, and
//! a row's threads and instances follow from its budget and its cores alone. A row without cores
//! keeps its number of threads.

mod bounds;
mod draft;
mod edit;
mod identity;
mod instances;
mod ledger;
mod nice;
mod operations;
mod plan;
mod pressure;
mod refit;
mod resolve;
mod restore;
mod state_change;
mod summary;
mod transfer;
mod warnings;

use super::phrases;
pub(super) use ledger::requested_cores;
pub use restore::{ChangeSide, LayoutOutline};

#[cfg(test)]
mod tests;
