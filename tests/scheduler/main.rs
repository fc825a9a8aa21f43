//! The scheduler's behaviour over scripted models and a simulated machine: what a change does, what
//! it refuses, and what it never loses.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod bad_requests;
mod builder_cores;
mod builds;
mod changes;
mod clients;
mod clock;
mod control;
mod gpus;
mod held_machine;
mod journal;
mod layouts;
mod loans;
mod machine;
mod observer;
mod property;
mod recordings;
mod reloads;
mod renames;
mod test_scheduler;
mod undo;
mod untried;
mod verdicts;
mod weights;
