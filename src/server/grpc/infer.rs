//! Runs a request of inference and writes its answer.

use std::collections::BTreeMap;

use super::call::Call;
use super::codec::ReceivedRequest;
use super::messages::{InferOutputTensor, InferParameter, ModelInferResponse, ParameterChoice};
use super::read_request::{AnswerForm, read_request};
use crate::engine::NamedTensor;
use crate::server::counted_request::CountedRequest;
use crate::server::datatype::datatype;
use crate::server::in_flight::Reservation;
use crate::server::infer::InferAnswer;
use crate::server::off_runtime::off_runtime;
use crate::server::outputs::{binary_form, check_output, take_output};
use crate::server::raw_tensor::memory_of;
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
    let signature = call.state.find(&model, Some(&message.model_version))?.signature();
    let (mut request, form) = off_runtime(size, || read_request(message, arrival))?;
    reserve_tensors(call, &mut reservation, &request.inputs, size)?;
    for output in &form.outputs {
        check_output(&model, &signature, output)?;
    }
    request.timeout = match (request.timeout, call.time_left()) {
        (Some(timeout), Some(left)) => Some(timeout.min(left)),
        (timeout, left) => timeout.or(left),
    };
    let answer = call.state.infer(request).await?;
    // The model has taken the inputs; what stays in flight is the answer.
    reservation.shrink(u64::MAX);
    let response = write_answer(model, answer, form)?;
    reservation.add(response.raw_size() as u64);
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
    let bytes: u64 = inputs.iter().map(|input| memory_of(&input.tensor)).sum();
    let more = bytes.saturating_sub(size as u64);
    if more > 0 && !reservation.grow(more) {
        return Err(call.state.server_full(more));
    }
    Ok(())
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
        raw_output_contents: outputs.into_iter().map(binary_form).collect(),
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
    let take = |name: &String| take_output(model, &mut outputs, name);
    names.iter().map(take).collect()
}
