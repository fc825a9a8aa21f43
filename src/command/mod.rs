//! The subcommands, one module each.

pub mod bench;
pub mod check;
mod clock;
pub mod completions;
pub mod config;
#[cfg(unix)]
pub mod control;
mod error;
pub mod inspect;
pub mod journal;
pub mod machine;
pub mod man;
mod model_names;
pub mod report;
pub mod restore;
pub mod run;
pub mod runtime;
pub mod snapshot;
pub mod state_folder;
mod stdout;
pub mod synth;

pub use error::CommandError;
