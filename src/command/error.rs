//! The error of a subcommand.

use thiserror::Error;

use crate::machine::MachineError;

/// A failed command; decides the exit code.
#[derive(Debug, Error)]
pub enum CommandError {
    /// Bad input: exit code 2. The message names the fault, its place and the remedy.
    #[error("{0}")]
    BadInput(String),
    /// Any other failure: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// The end of a run cut this many requests of clients: exit code 3.
    #[error(
        "{} not answered before the drain ended (--drain, or a second signal)",
        counted_were(*.0)
    )]
    Unanswered(usize),
    /// A change made a model clearly worse: exit code 3, of `divvy wait` only.
    #[error("{0}")]
    Worse(String),
    /// A change had too few requests for a verdict: exit code 4.
    #[error("{0}")]
    NotEnough(String),
}

impl CommandError {
    /// Returns the exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::BadInput(_) => 2,
            Self::Failed(_) => 1,
            Self::Unanswered(_) | Self::Worse(_) => 3,
            Self::NotEnough(_) => 4,
        }
    }
}

fn counted_were(requests: usize) -> String {
    match requests {
        1 => "1 request of a client was".to_owned(),
        _ => format!("{requests} requests of clients were"),
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
