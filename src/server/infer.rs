//! Requests of any protocol: from their tensors to the pool of their model and back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::serve_error::ServeError;
use super::state::ServerState;
use crate::engine::NamedTensor;
use crate::pool::{Client, Outcome, Priority, RequestOptions};

/// A request whose tensors have arrived.
pub struct InferRequest {
    /// The name of its model.
    pub model: String,
    /// The version that it asks for; `None` for the one that is served.
    pub version: Option<String>,
    /// Its inputs.
    pub inputs: Vec<NamedTensor>,
    /// The longest time in the queue; `None` for the queue's own limit.
    pub timeout: Option<Duration>,
    /// Its priority by the protocol: 1 first, 0 for the model's default.
    pub priority: u64,
    /// The arrival of its last byte, by [`crate::machine::running_now`].
    pub arrival: Instant,
}

/// The answer of a model.
pub struct InferAnswer {
    /// All outputs of the model, in its order.
    pub outputs: Vec<NamedTensor>,
    /// The version that answered.
    pub version: String,
    /// Time from the arrival until an instance took the request.
    pub queue: Duration,
    /// Time in the instance.
    pub compute: Duration,
}

impl ServerState {
    /// Runs a request and counts it, also during the drain: the transports refuse new requests when their
    /// head arrives, and the tensors of an admitted one may arrive later. Dropping the future cancels the
    /// request if it still waits; if it runs, its result is dropped.
    ///
    /// # Errors
    /// [`ServeError`] with the status and the message for the client.
    pub async fn infer(&self, request: InferRequest) -> Result<InferAnswer, ServeError> {
        let InferRequest { model, version, inputs, timeout, priority, arrival } = request;
        self.find(&model, version.as_deref())?;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let options = RequestOptions {
            deadline,
            priority: self.priority(&model, priority),
            arrival: Some(arrival),
        };
        let find = || self.models.get(&model);
        let Outcome { result, queue, compute } =
            Client::submit_to(find, Arc::new(inputs), options).await;
        match result {
            Ok(outputs) => {
                Ok(InferAnswer { outputs, version: self.version(&model), queue, compute })
            }
            Err(error) => Err(ServeError::of_request(&model, &error)),
        }
    }

    /// Returns the pool's priority for a priority of the protocol.
    #[allow(clippy::unused_self)] // each model will have its own number of priorities
    fn priority(&self, _model: &str, _priority: u64) -> Priority {
        Priority::default()
    }
}
