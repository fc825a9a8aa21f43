//! Reads a request: its inputs, its parameters and the outputs that it asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use prost::bytes::Bytes;

use super::contents::read_contents;
use super::messages::{
    InferInputTensor, InferParameter, InferRequestedOutputTensor, ModelInferRequest,
    ParameterChoice,
};
use crate::engine::NamedTensor;
use crate::server::datatype::{datatypes, parse_datatype};
use crate::server::infer::InferRequest;
use crate::server::raw_tensor::{RawTensor, read_shape};
use crate::server::serve_error::ServeError;

/// The form of the answer that a request asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AnswerForm {
    /// The request's id, which the answer repeats.
    pub id: String,
    /// The outputs by name, in the order of the answer; all if empty.
    pub outputs: Vec<String>,
    /// True if the answer says how long the request waited and ran.
    pub with_timing: bool,
}

type Parameters = BTreeMap<String, InferParameter>;

/// Reads a request.
///
/// # Errors
/// If it asks for what the server does not offer, or an input cannot be read.
pub(super) fn read_request(
    message: ModelInferRequest,
    arrival: Instant,
) -> Result<(InferRequest, AnswerForm), ServeError> {
    let parameters = &message.parameters;
    refuse_sequences(parameters)?;
    let inputs = read_inputs(message.inputs, message.raw_input_contents)?;
    let timeout = number(parameters, "timeout")?.filter(|us| *us > 0);
    let request = InferRequest {
        model: message.model_name,
        inputs,
        timeout: timeout.map(Duration::from_micros),
        priority: number(parameters, "priority")?.unwrap_or(0),
        arrival,
    };
    let form = AnswerForm {
        id: message.id,
        outputs: read_outputs(message.outputs)?,
        with_timing: choice(parameters, "timing") == Some(&ParameterChoice::Bool(true)),
    };
    Ok((request, form))
}

fn choice<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a ParameterChoice> {
    parameters.get(name)?.parameter_choice.as_ref()
}

/// Returns a parameter that is a whole number from 0; `None` if it is not given.
fn number(parameters: &Parameters, name: &str) -> Result<Option<u64>, ServeError> {
    let number = match choice(parameters, name) {
        None => return Ok(None),
        Some(ParameterChoice::Int64(number)) => u64::try_from(*number).ok(),
        Some(ParameterChoice::Uint64(number)) => Some(*number),
        Some(_) => None,
    };
    let fault =
        || ServeError::bad_request(format!("parameter `{name}` must be a whole number from 0"));
    number.map(Some).ok_or_else(fault)
}

/// Refuses requests of a sequence.
fn refuse_sequences(parameters: &Parameters) -> Result<(), ServeError> {
    let is_sequence = match choice(parameters, "sequence_id") {
        None => false,
        Some(ParameterChoice::Int64(id)) => *id != 0,
        Some(ParameterChoice::Uint64(id)) => *id != 0,
        Some(ParameterChoice::String(id)) => !id.is_empty(),
        Some(ParameterChoice::Bool(_) | ParameterChoice::Double(_)) => true,
    };
    if is_sequence {
        return Err(ServeError::sequence());
    }
    Ok(())
}

fn refuse_shared_memory(what: &str, parameters: &Parameters) -> Result<(), ServeError> {
    if parameters.contains_key("shared_memory_region") {
        return Err(ServeError::shared_memory(what));
    }
    Ok(())
}

fn read_outputs(outputs: Vec<InferRequestedOutputTensor>) -> Result<Vec<String>, ServeError> {
    let mut names = BTreeSet::new();
    for output in &outputs {
        let what = format!("output `{}`", output.name);
        refuse_shared_memory(&what, &output.parameters)?;
        let classes = number(&output.parameters, "classification")?;
        if classes.is_some_and(|classes| classes > 0) {
            return Err(ServeError::classification(&output.name));
        }
        if !names.insert(output.name.as_str()) {
            return Err(ServeError::bad_request(format!("{what} is requested twice")));
        }
    }
    Ok(outputs.into_iter().map(|output| output.name).collect())
}

/// Reads the inputs. If there are raw contents, they are those of all inputs, in their order.
fn read_inputs(
    inputs: Vec<InferInputTensor>,
    raw: Vec<Bytes>,
) -> Result<Vec<NamedTensor>, ServeError> {
    let mut names = BTreeSet::new();
    if let Some(twice) = inputs.iter().find(|input| !names.insert(input.name.as_str())) {
        return Err(ServeError::bad_request(format!("input `{}` is given twice", twice.name)));
    }
    for input in &inputs {
        refuse_shared_memory(&format!("input `{}`", input.name), &input.parameters)?;
    }
    if raw.is_empty() {
        return inputs.into_iter().map(|input| read_input(input, None)).collect();
    }
    if raw.len() != inputs.len() {
        return Err(ServeError::bad_request(format!(
            "the request has {} inputs, but raw_input_contents has {} entries; it needs one per input",
            inputs.len(),
            raw.len()
        )));
    }
    inputs.into_iter().zip(raw).map(|(input, raw)| read_input(input, Some(&raw))).collect()
}

fn read_input(input: InferInputTensor, raw: Option<&Bytes>) -> Result<NamedTensor, ServeError> {
    let InferInputTensor { name, datatype, shape, contents, .. } = input;
    let Some(element) = parse_datatype(&datatype) else {
        return Err(ServeError::bad_request(format!(
            "input `{name}`: unknown datatype `{datatype}`; the datatypes are {}",
            datatypes()
        )));
    };
    let shape = read_shape(&name, &shape)?;
    let Some(raw) = raw else {
        return read_contents(name, element, &shape, contents.unwrap_or_default());
    };
    if contents.is_some() {
        return Err(ServeError::bad_request(format!(
            "input `{name}`: it has contents, but raw_input_contents holds the inputs; send only one of them"
        )));
    }
    let mut tensor = RawTensor::new(name, element, shape, raw.len())?;
    tensor.push(raw)?;
    tensor.finish()
}
