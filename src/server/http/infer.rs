//! Requests of inference.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use serde_json::Value;
use tokio::time::timeout;

use super::answer::{self, AnswerForm, OutputForm};
use super::body::{HEAD_LENGTH, ReceivedRequest, RequestBody};
use super::error_answer::error_answer;
use super::parameters::Parameters;
use super::request_head::OutputHead;
use crate::engine::Signature;
use crate::machine::running_now;
use crate::server::activity::Connection;
use crate::server::counted_request::CountedRequest;
use crate::server::infer::InferRequest;
use crate::server::outputs::check_output;
use crate::server::serve_error::{ErrorKind, ServeError};
use crate::server::state::ServerState;

/// The model that a path names.
#[derive(Clone)]
pub(super) struct ModelPath {
    pub model: String,
    pub version: Option<String>,
}

/// Answers a request to a model. It is counted once, also if the client leaves before its answer.
pub(super) async fn infer(
    state: Arc<ServerState>,
    path: ModelPath,
    request: Request,
) -> Response<Body> {
    let connection = request.extensions().get::<Connection>().cloned();
    let counted = CountedRequest::begin(&state, &path.model, connection.as_ref());
    let answered = run(&state, &counted, path, request, connection.as_ref()).await;
    counted.end(answered.as_ref().err().map(|error| error.kind));
    answered.unwrap_or_else(|error| error_answer(&error))
}

async fn run(
    state: &ServerState,
    counted: &CountedRequest,
    path: ModelPath,
    request: Request,
    connection: Option<&Connection>,
) -> Result<Response<Body>, ServeError> {
    let ModelPath { model, version } = path;
    if state.drain.has_started() {
        return Err(ServeError::shutting_down());
    }
    let signature = state.find(&model, version.as_deref())?.signature();
    let (parts, body) = request.into_parts();
    let head_length = head_length(&parts.headers)?;
    let body = RequestBody::admit(state, counted, &parts.headers, body)?;
    let patience = state.limits().receive_timeout;
    let received = timeout(patience, body.read(head_length)).await.map_err(|_| {
        let message = format!("the request did not arrive within {patience:?}");
        ServeError::new(ErrorKind::SlowSender, message)
    })??;
    let arrival = running_now();
    let ReceivedRequest { id, parameters, outputs, inputs, mut reservation } = received;
    let form = AnswerForm {
        id,
        binary: flag(&parameters, "binary_data_output")?.unwrap_or(false),
        with_timing: flag(&parameters, "timing")?.unwrap_or(false),
        outputs: Vec::new(),
    };
    let form = AnswerForm { outputs: read_outputs(&model, outputs, &form, &signature)?, ..form };
    refuse_sequences(&parameters)?;
    let wait = number(&parameters, "timeout")?.filter(|us| *us > 0);
    let request = InferRequest {
        model: model.clone(),
        inputs,
        timeout: wait.map(Duration::from_micros),
        priority: number(&parameters, "priority")?.unwrap_or(0),
        arrival,
    };
    let answer = state.infer(request).await?;
    // The model has taken the inputs; what stays in flight is the answer.
    reservation.shrink(u64::MAX);
    answer::write(&model, answer, &form, reservation, connection)
}

/// Returns the length of the JSON part, if binary data follows it.
fn head_length(headers: &HeaderMap) -> Result<Option<usize>, ServeError> {
    let Some(value) = headers.get(HEAD_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|value| value.trim().parse().ok());
    length.map(Some).ok_or_else(|| {
        ServeError::bad_request(
            "the header Inference-Header-Content-Length must be a number of bytes",
        )
    })
}

fn flag(parameters: &Parameters, name: &str) -> Result<Option<bool>, ServeError> {
    match parameters.get(name) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => {
            Err(ServeError::bad_request(format!("parameter `{name}` must be true or false")))
        }
    }
}

fn number(parameters: &Parameters, name: &str) -> Result<Option<u64>, ServeError> {
    let Some(value) = parameters.get(name) else { return Ok(None) };
    let fault =
        || ServeError::bad_request(format!("parameter `{name}` must be a whole number from 0"));
    value.as_u64().map(Some).ok_or_else(fault)
}

/// Refuses requests of a sequence.
fn refuse_sequences(parameters: &Parameters) -> Result<(), ServeError> {
    let is_sequence = match parameters.get("sequence_id") {
        None | Some(Value::Null) => false,
        Some(Value::String(id)) => !id.is_empty(),
        Some(id) => id.as_u64() != Some(0),
    };
    if is_sequence {
        return Err(ServeError::sequence());
    }
    Ok(())
}

/// Returns the outputs that a request asks for, which the model must have.
fn read_outputs(
    model: &str,
    outputs: Vec<OutputHead>,
    form: &AnswerForm,
    signature: &Signature,
) -> Result<Vec<OutputForm>, ServeError> {
    let mut read: Vec<OutputForm> = Vec::with_capacity(outputs.len());
    for OutputHead { name, parameters } in outputs {
        if parameters.contains_key("shared_memory_region") {
            return Err(ServeError::shared_memory(&format!("output `{name}`")));
        }
        if number(&parameters, "classification")?.is_some_and(|classes| classes > 0) {
            return Err(ServeError::classification(&name));
        }
        if read.iter().any(|other| other.name == name) {
            return Err(ServeError::bad_request(format!("output `{name}` is requested twice")));
        }
        check_output(model, signature, &name)?;
        let binary = flag(&parameters, "binary_data")?.unwrap_or(form.binary);
        read.push(OutputForm { name, binary });
    }
    Ok(read)
}
