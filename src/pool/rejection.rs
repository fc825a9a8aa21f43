//! The reasons for rejecting a request.

use thiserror::Error;

/// The reason why a model did not accept a request, or removed it from its queue. No instance has
/// answered the request, so the caller may send it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Rejection {
    /// The queue was full and its policy is to reject.
    #[error("the queue is full")]
    QueueFull,
    /// The queue was full and the model runs nothing, because its concurrency is 0.
    #[error("the model is paused and its queue is full")]
    Paused,
    /// The request would not fit the memory budget even if it ran alone, or its inputs do not fit beside
    /// those that wait.
    #[error("memory budget: what the model holds and the requests that wait leave no room for it")]
    OverBudget,
    /// The model is being removed, or has been.
    #[error("the model is being removed")]
    Removed,
    /// No model has the name that the request was sent to.
    #[error("there is no model of this name")]
    NoSuchModel,
    /// The model could not be loaded, or has lost its last instance.
    #[error("the model failed; its state says why")]
    ModelFailed,
}
