//! The subcommands, one file each. A command gets its parsed arguments and says how it ended.

pub mod bench;
pub mod check;
pub mod completions;
pub mod config;
pub mod inspect;
pub mod journal;
pub mod machine;
pub mod man;
pub mod report;
pub mod run;
pub mod runtime;
pub mod snapshot;
pub mod state_folder;
pub mod synth;

use thiserror::Error;

use crate::machine::MachineError;

/// How a command failed; decides the exit code.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The input is bad: exit code 2. The message says what, where, and what to do.
    #[error("{0}")]
    BadInput(String),
    /// Something else went wrong: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl CommandError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::BadInput(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<MachineError> for CommandError {
    fn from(error: MachineError) -> Self {
        Self::BadInput(error.to_string())
    }
}
