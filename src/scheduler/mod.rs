//! Who decides: applies a change over all pools as one transaction, keeps the journal, and
//! publishes what is.

mod control;

pub use control::Control;
