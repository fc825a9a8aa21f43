//! The outputs of an answer: those that a request asks for, and their binary form.

use bytes::Bytes;

use super::bytes_tensor;
use super::serve_error::ServeError;
use crate::engine::{NamedTensor, Signature, TensorData};

/// Checks that a model has an output, before it runs. A model that has not been loaded has none; its pool
/// says so.
///
/// # Errors
/// A bad request with the outputs that the model has.
pub(super) fn check_output(
    model: &str,
    signature: &Signature,
    output: &str,
) -> Result<(), ServeError> {
    if signature.outputs.is_empty() || signature.output(output).is_some() {
        return Ok(());
    }
    Err(unknown_output(model, output, signature.outputs.iter().map(|known| known.name.as_str())))
}

/// Takes an output of this name out of an answer.
///
/// # Errors
/// A bad request, if the model has been replaced by one without it.
pub(super) fn take_output(
    model: &str,
    outputs: &mut Vec<NamedTensor>,
    name: &str,
) -> Result<NamedTensor, ServeError> {
    match outputs.iter().position(|output| output.name == name) {
        Some(at) => Ok(outputs.swap_remove(at)),
        None => Err(unknown_output(model, name, outputs.iter().map(|known| known.name.as_str()))),
    }
}

fn unknown_output<'a>(
    model: &str,
    output: &str,
    known: impl Iterator<Item = &'a str>,
) -> ServeError {
    let known: Vec<&str> = known.collect();
    ServeError::bad_request(format!(
        "model `{model}` has no output `{output}`; its outputs are {}",
        known.join(", ")
    ))
}

/// The elements of an output, as bytes.
struct OutputBytes(NamedTensor);

impl AsRef<[u8]> for OutputBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.tensor.data().as_bytes().unwrap_or_default()
    }
}

/// Returns the binary form of an output, without a copy except for text.
pub(super) fn binary_form(output: NamedTensor) -> Bytes {
    if let TensorData::String(texts) = output.tensor.data() {
        let mut bytes = Vec::with_capacity(bytes_tensor::encoded_size(texts));
        bytes_tensor::encode(texts, &mut bytes);
        return bytes.into();
    }
    Bytes::from_owner(OutputBytes(output))
}
