//! The errors of requests, with what they become in HTTP, in gRPC and in metrics.

use std::fmt;

use axum::http::StatusCode;
use thiserror::Error;
use tonic::Code;

use super::datatype::datatype;
use crate::pool::{Rejection, RequestError};

/// The longest message, in characters. It repeats names that clients choose, and gRPC sends it in a header.
const LONGEST_MESSAGE: usize = 1024;

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The request cannot be read, or its tensors do not fit the model.
    BadRequest,
    /// The client sent no valid token.
    Unauthorized,
    /// There is no model of this name or version.
    NoSuchModel,
    /// The client took too long to send its request.
    SlowSender,
    /// The request exceeds a limit on sizes.
    TooLarge,
    /// The queue of the model is full.
    QueueFull,
    /// All requests and answers in flight leave no room for it.
    ServerFull,
    /// The client went away before its answer.
    Cancelled,
    /// The engine failed, and did not say that the request is at fault.
    Failed,
    /// The server does not offer this.
    NotImplemented,
    /// The model starts, drains or has failed, or the server drains.
    Unavailable,
    /// The request waited in the queue until its deadline or the queue's timeout.
    TimedOut,
    /// The request does not fit the memory budget of the model.
    OverMemory,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: [Self; 13] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::NoSuchModel,
        Self::SlowSender,
        Self::TooLarge,
        Self::QueueFull,
        Self::ServerFull,
        Self::Cancelled,
        Self::Failed,
        Self::NotImplemented,
        Self::Unavailable,
        Self::TimedOut,
        Self::OverMemory,
    ];

    /// Returns the HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NoSuchModel => StatusCode::NOT_FOUND,
            Self::SlowSender | Self::Cancelled => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::QueueFull | Self::ServerFull => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::OverMemory => StatusCode::INSUFFICIENT_STORAGE,
        }
    }

    /// Returns the gRPC status.
    pub fn code(self) -> Code {
        match self {
            Self::BadRequest => Code::InvalidArgument,
            Self::Unauthorized => Code::Unauthenticated,
            Self::NoSuchModel => Code::NotFound,
            Self::TooLarge | Self::QueueFull | Self::ServerFull | Self::OverMemory => {
                Code::ResourceExhausted
            }
            Self::Cancelled => Code::Cancelled,
            Self::Failed => Code::Internal,
            Self::NotImplemented => Code::Unimplemented,
            Self::Unavailable => Code::Unavailable,
            Self::SlowSender | Self::TimedOut => Code::DeadlineExceeded,
        }
    }

    /// Returns the name in metrics, documents and snapshots.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::NoSuchModel => "no_such_model",
            Self::SlowSender => "slow_sender",
            Self::TooLarge => "too_large",
            Self::QueueFull => "queue_full",
            Self::ServerFull => "server_full",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::NotImplemented => "not_implemented",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed_out",
            Self::OverMemory => "over_memory",
        }
    }

    /// Returns the position in [`ErrorKind::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The reason why a request was not answered with tensors.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ServeError {
    /// The kind, which decides the status.
    pub kind: ErrorKind,
    /// The message for the client: what is wrong, where, and what to do.
    pub message: String,
}

impl ServeError {
    /// Creates an error. A message that repeats a long text of the client is cut.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
            message.truncate(end);
            message.push_str("...");
        }
        Self { kind, message }
    }

    /// Creates the error of a request that cannot be read or does not fit its model.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadRequest, message)
    }

    /// Creates the error of a request that is larger than the limit in bytes.
    pub fn too_large(limit: u64) -> Self {
        let message = format!(
            "the request is larger than the limit of {limit} bytes (decompressed); send less"
        );
        Self::new(ErrorKind::TooLarge, message)
    }

    /// Creates the error of a request whose bytes do not fit beside those in flight.
    pub fn server_full(bytes: u64, limit: u64) -> Self {
        let message = format!(
            "the requests and answers in flight leave no room for {bytes} bytes (the limit is {limit} bytes \
             for all); try again later"
        );
        Self::new(ErrorKind::ServerFull, message)
    }

    /// Creates the error of a request that arrives during the drain.
    pub fn shutting_down() -> Self {
        Self::new(ErrorKind::Unavailable, "the server is shutting down")
    }

    /// Creates the error of a request with a `sequence_id`: an answer without its state would be wrong.
    pub fn sequence() -> Self {
        Self::bad_request(
            "parameter `sequence_id`: models keep no state between requests; leave it out",
        )
    }

    /// Creates the error of an input or output ("input `x`") in shared memory.
    pub fn shared_memory(what: &str) -> Self {
        let reason = "shared memory is not supported; leave out `shared_memory_region`";
        Self::new(ErrorKind::NotImplemented, format!("{what}: {reason}"))
    }

    /// Creates the error of an output that is wanted as classes.
    pub fn classification(output: &str) -> Self {
        Self::bad_request(format!(
            "output `{output}`: classification is not supported; ask for the tensor"
        ))
    }

    /// Creates the error for a name that no model has.
    pub fn no_such_model(model: &str) -> Self {
        Self::new(ErrorKind::NoSuchModel, format!("there is no model `{model}`"))
    }

    /// Returns the error of a request to a model that its pool answered with an error.
    pub fn of_request(model: &str, error: &RequestError) -> Self {
        let kind = match error {
            RequestError::Rejected { reason } => match reason {
                Rejection::QueueFull | Rejection::Paused => ErrorKind::QueueFull,
                Rejection::OverBudget => ErrorKind::OverMemory,
                Rejection::NoSuchModel => return Self::no_such_model(model),
                Rejection::Removed | Rejection::ModelFailed => ErrorKind::Unavailable,
            },
            RequestError::TimedOut { .. } => ErrorKind::TimedOut,
            RequestError::Cancelled => ErrorKind::Cancelled,
            RequestError::Input { .. } | RequestError::Invalid(_) => ErrorKind::BadRequest,
            RequestError::OverBudget { .. } => ErrorKind::OverMemory,
            RequestError::Failed(_) | RequestError::Panicked { .. } => ErrorKind::Failed,
        };
        Self::new(kind, format!("model `{model}`: {}", describe(error)))
    }
}

/// Returns the message of an error in the words of the protocol.
fn describe(error: &RequestError) -> String {
    match error {
        RequestError::Input { input, reason } => {
            format!("input `{input}`: {}", reason.describe(datatype))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{ElementType, InputFault, TensorSpec};

    #[test]
    fn wrong_type_has_the_name_of_the_protocol() {
        let spec = TensorSpec { name: "x".to_owned(), element: ElementType::F16, dims: None };
        let reason = InputFault::Element(ElementType::I32, spec);
        let error = RequestError::Input { input: "x".to_owned(), reason };
        assert_eq!(
            ServeError::of_request("m", &error).message,
            "model `m`: input `x`: its elements are INT32, where the model wants FP16 any shape"
        );
    }

    #[test]
    fn long_names_are_cut() {
        let message = ServeError::no_such_model(&"é".repeat(100_000)).message;
        assert_eq!(message.chars().count(), LONGEST_MESSAGE + 3);
        assert!(message.ends_with("..."));
    }

    #[test]
    fn kinds_are_listed_in_order() {
        for (at, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), at, "{kind}");
        }
    }
}
