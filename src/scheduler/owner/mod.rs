//! The owner thread: holds the scheduler's state and applies changes one after another, so that each
//! is a transaction without a lock over the pools.

mod commit;
mod drain;
mod enforce;
mod history;
mod housekeeper;
mod lend;
mod load;
mod loans;
mod machine_changes;
mod models;
mod open_changes;
mod own_change;
mod pool_events;
mod publish;
mod reconcile;
mod rollback;
mod row_changes;
mod stage_timer;
mod successors;
#[cfg(test)]
mod tests;
mod thread;
mod verdicts;
mod window_capture;

pub(super) use thread::{Owner, OwnerConfig};
