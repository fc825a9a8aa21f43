//! Errors of the built-in load.

use thiserror::Error;

/// A reason why a load cannot run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// A number of the load is outside its range.
    #[error("load {field} = {value}: must be {range}")]
    OutOfRange {
        /// The load's field.
        field: &'static str,
        /// The value as given.
        value: String,
        /// The valid range.
        range: &'static str,
    },
    /// The recording is empty.
    #[error("the recording holds no requests; record at least one")]
    NoRequests,
    /// The recorded arrival times do not fit the requests.
    #[error("the recorded arrival times {problem}; leave them out, or set a rate")]
    BadTimes {
        /// The problem, as a predicate ("are ...").
        problem: String,
    },
    /// `carry` names an input or output that the model does not have.
    #[error("carry: the model has no {side} `{name}`; it has: {known}")]
    UnknownCarry {
        /// "output" or "input".
        side: &'static str,
        /// The name as given.
        name: String,
        /// The names that the model has.
        known: String,
    },
    /// The driver has stopped.
    #[error("the load generator has stopped; start a new one")]
    Stopped,
}
