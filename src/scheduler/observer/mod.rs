//! The observer thread: samples the machine and the pools, enforces memory budgets and publishes
//! snapshots.
//!
//! Separate from the owner thread so that reading counters never delays a change.

mod assemble;
mod fault_guard;
mod machine;
mod memory;
mod meters;
mod model_view;
mod pacer;
mod process_ledger;
mod sampler;
mod sharing;
#[cfg(test)]
mod tests;
mod thread;
mod window_cache;

pub(super) use machine::ObservedMachine;
pub(super) use thread::{Observer, ObserverConfig};
