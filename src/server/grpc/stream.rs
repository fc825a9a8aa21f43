//! The answers of `ModelStreamInfer`: one per request, in the order of the requests.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::codegen::tokio_stream::Stream;
use tonic::{Code, Status, Streaming};

use super::call::Call;
use super::codec::ReceivedRequest;
use super::infer::infer;
use super::messages::{
    InferParameter, ModelInferResponse, ModelStreamInferResponse, ParameterChoice,
};
use super::status;
use crate::server::serve_error::{ErrorKind, ServeError};

/// The most requests of one stream that wait or run at a time. The server reads no further ones meanwhile.
const MOST_OPEN: usize = 64;

type Answering = Pin<Box<dyn Future<Output = ModelStreamInferResponse> + Send>>;

/// The answers of one stream. Dropping it cancels the requests that have not been answered.
pub(super) struct AnswerStream {
    call: Arc<Call>,
    requests: Streaming<ReceivedRequest>,
    open: VecDeque<OpenRequest>,
    /// Completes when the server starts to drain.
    drain: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The status that follows the last answer; `None` while requests are read.
    end: Option<Result<(), Status>>,
}

/// A request of a stream that has not been answered.
enum OpenRequest {
    Running(Answering),
    /// It waits for the answers before it.
    Answered(ModelStreamInferResponse),
}

impl AnswerStream {
    pub(super) fn new(call: Arc<Call>, requests: Streaming<ReceivedRequest>) -> Self {
        let state = call.state.clone();
        let drain = Box::pin(async move { state.drain.wait_for_start().await });
        Self { call, requests, open: VecDeque::new(), drain, end: None }
    }

    /// Reads the requests that have arrived, as far as there is room for them.
    fn read_requests(&mut self, context: &mut Context<'_>) {
        if self.end.is_none() && self.drain.as_mut().poll(context).is_ready() {
            let error = ServeError::shutting_down();
            self.end = Some(Err(status(&error)));
        }
        while self.end.is_none() && self.open.len() < MOST_OPEN {
            match Pin::new(&mut self.requests).poll_next(context) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(request))) => {
                    let call = self.call.clone();
                    self.open.push_back(OpenRequest::Running(Box::pin(answer(call, request))));
                }
                Poll::Ready(Some(Err(status))) => {
                    self.call.fail_stream(unreadable(&status));
                    self.end = Some(Err(status));
                }
                Poll::Ready(None) => self.end = Some(Ok(())),
            }
        }
    }
}

/// Returns the kind of a failure to read a stream. tonic checks the size of what it decompresses.
fn unreadable(status: &Status) -> ErrorKind {
    match status.code() {
        Code::ResourceExhausted => ErrorKind::TooLarge,
        _ => ErrorKind::BadRequest,
    }
}

impl Stream for AnswerStream {
    type Item = Result<ModelStreamInferResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.read_requests(context);
        for open in &mut this.open {
            if let OpenRequest::Running(running) = open
                && let Poll::Ready(answer) = running.as_mut().poll(context)
            {
                *open = OpenRequest::Answered(answer);
            }
        }
        match this.open.pop_front() {
            Some(OpenRequest::Answered(answer)) => {
                let size = answer.infer_response.as_ref().map_or(0, ModelInferResponse::raw_size);
                if this.call.ends_before_writing(size, context) {
                    this.open.push_front(OpenRequest::Answered(answer));
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(answer)))
            }
            Some(running) => {
                this.open.push_front(running);
                Poll::Pending
            }
            None => match &mut this.end {
                None => Poll::Pending,
                Some(end) => Poll::Ready(std::mem::replace(end, Ok(())).err().map(Err)),
            },
        }
    }
}

/// Runs one request of a stream. An error is a message of the stream, which goes on.
async fn answer(call: Arc<Call>, request: ReceivedRequest) -> ModelStreamInferResponse {
    let named = ModelInferResponse {
        model_name: request.message.model_name.clone(),
        model_version: request.message.model_version.clone(),
        id: request.message.id.clone(),
        ..ModelInferResponse::default()
    };
    let (error_message, mut response) = match infer(&call, request).await {
        Ok(response) => (String::new(), response),
        Err(error) => (error.message, named),
    };
    // Clients of models with several answers per request wait for this mark.
    let last = InferParameter { parameter_choice: Some(ParameterChoice::Bool(true)) };
    response.parameters.insert("triton_final_response".to_owned(), last);
    ModelStreamInferResponse { error_message, infer_response: Some(response) }
}
