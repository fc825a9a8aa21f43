//! Runs a request of inference and writes its answer.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::call::Call;
use super::codec::ReceivedRequest;
use super::messages::{InferOutputTensor, InferParameter, ModelInferResponse, ParameterChoice};
use super::read_request::{AnswerForm, read_request};
use crate::engine::{NamedTensor, TensorData};
use crate::server::bytes_tensor;
use crate::server::counted_request::CountedRequest;
use crate::server::datatype::datatype;
use crate::server::in_flight::Reservation;
use crate::server::infer::InferAnswer;
use crate::server::off_runtime::off_runtime;
use crate::server::serve_error::ServeError;

/// Runs a request and counts it. Dropping the future cancels it.
///
/// # Errors
/// The error for the client.
pub(super) async fn infer(
    call: &Call,
    received: ReceivedRequest,
) -> Result<ModelInferResponse, ServeError> {
    let model = &received.message.model_name;
    let counted = CountedRequest::begin(&call.state, model, call.connection.as_ref());
    let answered = run(call, received).await;
    counted.end(answered.as_ref().err().map(|error| error.kind));
    answered
}

async fn run(call: &Call, received: ReceivedRequest) -> Result<ModelInferResponse, ServeError> {
    let ReceivedRequest { message, mut reservation, size, arrival } = received;
    let model = message.model_name.clone();
    let (mut request, form) = off_runtime(size, || read_request(message, arrival))?;
    reserve_tensors(call, &mut reservation, &request.inputs, size)?;
    check_outputs(call, &request.model, &form.outputs)?;
    request.timeout = match (request.timeout, call.time_left()) {
        (Some(timeout), Some(left)) => Some(timeout.min(left)),
        (timeout, left) => timeout.or(left),
    };
    let answer = call.state.infer(request).await?;
    // The model has taken the inputs; what stays in flight is the answer.
    reservation.shrink(u64::MAX);
    let response = write_answer(model, answer, form)?;
    reservation.add(response.raw_output_contents.iter().map(|raw| raw.len() as u64).sum());
    call.hold_answer(reservation);
    Ok(response)
}

/// Reserves the bytes by which the inputs exceed their message, whose numbers can be shorter than in memory.
fn reserve_tensors(
    call: &Call,
    reservation: &mut Reservation,
    inputs: &[NamedTensor],
    size: usize,
) -> Result<(), ServeError> {
    let bytes: usize = inputs.iter().map(|input| input.tensor.bytes()).sum();
    let more = bytes.saturating_sub(size) as u64;
    if more > 0 && !reservation.grow(more) {
        return Err(call.server_full(more));
    }
    Ok(())
}

/// Checks that a model has the requested outputs, before it runs.
fn check_outputs(call: &Call, model: &str, outputs: &[String]) -> Result<(), ServeError> {
    if outputs.is_empty() {
        return Ok(());
    }
    let signature = call.state.find(model, None)?.client.signature();
    let has = |name: &String| signature.outputs.iter().any(|output| output.name == *name);
    // A model that has not been loaded has none; its pool says so.
    match outputs.iter().find(|name| !signature.outputs.is_empty() && !has(name)) {
        Some(unknown) => Err(unknown_output(model, unknown)),
        None => Ok(()),
    }
}

fn unknown_output(model: &str, output: &str) -> ServeError {
    ServeError::bad_request(format!("model `{model}` has no output `{output}`"))
}

/// Returns the message of an answer. Its bytes are those of the tensors, not copies.
fn write_answer(
    model: String,
    answer: InferAnswer,
    form: AnswerForm,
) -> Result<ModelInferResponse, ServeError> {
    let outputs = choose_outputs(&model, answer.outputs, &form.outputs)?;
    let mut parameters = BTreeMap::new();
    if form.with_timing {
        for (name, time) in [("queue_us", answer.queue), ("compute_us", answer.compute)] {
            let time = ParameterChoice::Int64(i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
            parameters.insert(name.to_owned(), InferParameter { parameter_choice: Some(time) });
        }
    }
    let describe = |output: &NamedTensor| InferOutputTensor {
        name: output.name.clone(),
        datatype: datatype(output.tensor.element()).to_owned(),
        shape: output.tensor.shape().iter().map(|dim| *dim as i64).collect(),
    };
    Ok(ModelInferResponse {
        model_name: model,
        model_version: answer.version,
        id: form.id,
        parameters,
        outputs: outputs.iter().map(describe).collect(),
        raw_output_contents: outputs.into_iter().map(raw_bytes).collect(),
    })
}

/// Returns the requested outputs in the order of the request; all if it names none.
fn choose_outputs(
    model: &str,
    mut outputs: Vec<NamedTensor>,
    names: &[String],
) -> Result<Vec<NamedTensor>, ServeError> {
    if names.is_empty() {
        return Ok(outputs);
    }
    let take = |name: &String| {
        let at = outputs.iter().position(|output| output.name == *name);
        at.map(|at| outputs.swap_remove(at)).ok_or_else(|| unknown_output(model, name))
    };
    names.iter().map(take).collect()
}

/// The elements of an output, as bytes.
struct OutputBytes(NamedTensor);

impl AsRef<[u8]> for OutputBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.tensor.data().as_bytes().unwrap_or_default()
    }
}

fn raw_bytes(output: NamedTensor) -> Bytes {
    if let TensorData::String(texts) = output.tensor.data() {
        let mut bytes = Vec::with_capacity(bytes_tensor::encoded_size(texts));
        bytes_tensor::encode(texts, &mut bytes);
        return bytes.into();
    }
    Bytes::from_owner(OutputBytes(output))
}
