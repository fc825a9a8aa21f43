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
    /// Its inputs.
    pub inputs: Vec<NamedTensor>,
    /// The longest time in the queue; `None` for the queue's own limit.
    pub timeout: Option<Duration>,
    /// Its priority by the protocol: 1 first, 0 for the lowest.
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
    /// Runs a request, also during the drain: the transports refuse new requests when their head arrives, and
    /// the tensors of an admitted one may arrive later. They also check its version. Dropping the future cancels the
    /// request if it still waits; if it runs, its result is dropped.
    ///
    /// # Errors
    /// [`ServeError`] with the status and the message for the client.
    pub async fn infer(&self, request: InferRequest) -> Result<InferAnswer, ServeError> {
        let InferRequest { model, inputs, timeout, priority, arrival } = request;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let options = RequestOptions {
            deadline,
            priority: self.priority(&model, priority)?,
            arrival: Some(arrival),
        };
        let find = || self.models.get(&model);
        let pending = Client::submit_to(find, Arc::new(inputs), options);
        let Outcome { result, queue, compute } = self.outcome(pending).await;
        match result {
            Ok(outputs) => {
                Ok(InferAnswer { outputs, version: self.version(&model), queue, compute })
            }
            Err(error) => Err(ServeError::of_request(&model, &error)),
        }
    }

    /// Returns the pool's priority for a priority of the protocol: 1 is the highest, and 0 means the lowest.
    ///
    /// # Errors
    /// [`ServeError`], a bad request, for a priority that the model does not have.
    fn priority(&self, model: &str, priority: u64) -> Result<Priority, ServeError> {
        pool_priority(model, self.models.priority_levels(model).unwrap_or(1), priority)
    }
}

/// Returns the pool's priority for a priority of a model with `levels` of them. The lowest is 0.
fn pool_priority(model: &str, levels: u8, priority: u64) -> Result<Priority, ServeError> {
    let lowest = u64::from(levels);
    let wanted = if priority == 0 { lowest } else { priority };
    let above = lowest.checked_sub(wanted).and_then(|above| i8::try_from(above).ok());
    above.map(Priority).ok_or_else(|| {
        let range = if levels == 1 { "1".to_owned() } else { format!("1 (first) to {levels}") };
        ServeError::bad_request(format!(
            "model `{model}` has no priority {priority}: use {range}, or 0 for the lowest; `levels` of its \
             `queue` sets the number of priorities"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::serve_error::ErrorKind;
    use super::*;

    #[test]
    fn priority_1_is_the_highest() {
        let pool = |levels, priority| pool_priority("m", levels, priority).unwrap().0;
        assert_eq!([1, 2, 3, 0].map(|priority| pool(3, priority)), [2, 1, 0, 0]);
        assert_eq!([1, 0].map(|priority| pool(1, priority)), [0, 0]);
        assert_eq!(pool(100, 1), 99);
    }

    #[test]
    fn unknown_priority_names_the_range() {
        for (levels, priority, range) in [(3, 4, "1 (first) to 3"), (1, u64::MAX, "use 1,")] {
            let error = pool_priority("ranker", levels, priority).unwrap_err();
            assert_eq!(error.kind, ErrorKind::BadRequest);
            assert!(error.message.contains("`ranker`"), "{error}");
            assert!(error.message.contains(range), "{error}");
        }
    }
}
