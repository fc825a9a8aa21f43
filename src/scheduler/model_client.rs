//! A client that addresses a model by its name and follows the name across reloads.

use std::sync::Arc;

use super::shared_state::{SharedState, StateReader};
use crate::engine::{NamedTensor, Signature};
use crate::pool::{Client, Outcome, Pending, Request, RequestId, RequestOptions, RequestSender};

/// Sends requests to whichever model has a name when they are submitted. It stays valid when that model
/// is removed and added again, reloaded from another file, or renamed: after a rename, the next model of
/// the old name gets the requests. While no model has the name, requests are rejected with
/// [`crate::pool::Rejection::NoSuchModel`]. Cheap to clone.
#[derive(Clone)]
pub struct ModelClient {
    name: Arc<str>,
    state: StateReader,
}

impl ModelClient {
    pub(super) fn new(name: &str, state: &SharedState) -> Self {
        Self::with_state(name, state.reader())
    }

    pub(super) fn with_state(name: &str, state: StateReader) -> Self {
        Self { name: name.into(), state }
    }

    /// Returns the model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the client of the model that has the name now, which does not follow the name; `None` if
    /// there is none.
    pub fn current(&self) -> Option<Client> {
        self.state.client(&self.name)
    }

    /// Returns the sender for callers that want to be called back. It follows the name too, and cancels
    /// requests of the model that has the name now.
    pub fn sender(&self) -> Arc<dyn RequestSender> {
        Arc::new(ModelSender(self.clone()))
    }

    /// Runs one request and returns its outcome; dropping the future before that cancels the request
    /// if it still waits.
    pub async fn infer(&self, inputs: Arc<Vec<NamedTensor>>) -> Outcome {
        self.submit(inputs).await
    }

    /// Submits a request at once. Await the returned value for the outcome.
    pub fn submit(&self, inputs: Arc<Vec<NamedTensor>>) -> Pending {
        self.submit_with(inputs, RequestOptions::default())
    }

    /// Submits a request at once, with a deadline or a priority. Await the returned value for the
    /// outcome.
    pub fn submit_with(&self, inputs: Arc<Vec<NamedTensor>>, options: RequestOptions) -> Pending {
        Client::submit_to(|| self.current(), inputs, options)
    }
}

/// Sends requests to the model that has a name.
struct ModelSender(ModelClient);

impl RequestSender for ModelSender {
    fn signature(&self) -> Arc<Signature> {
        self.0.current().map_or_else(Arc::default, |client| client.signature())
    }

    fn submit(&self, request: Request) -> Option<RequestId> {
        Client::send_to(|| self.0.current(), request)
    }

    fn cancel(&self, id: RequestId) -> bool {
        self.0.current().is_some_and(|client| client.cancel(id))
    }
}
