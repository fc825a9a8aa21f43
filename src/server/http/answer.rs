//! The answer of a request: JSON, and outputs in binary form behind it, sent from the tensors' own buffers.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Response};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use serde::Serialize;

use super::body::HEAD_LENGTH;
use super::json_form::JsonForm;
use crate::engine::{NamedTensor, TensorData};
use crate::server::activity::Connection;
use crate::server::bytes_tensor;
use crate::server::datatype::datatype;
use crate::server::in_flight::{Reservation, hold};
use crate::server::infer::InferAnswer;
use crate::server::off_runtime::off_runtime;
use crate::server::outputs::{binary_form, take_output};
use crate::server::serve_error::ServeError;

/// The form of the answer that a request asks for.
#[derive(Debug, Default)]
pub(super) struct AnswerForm {
    /// The request's id, which the answer repeats.
    pub id: String,
    /// The outputs, in the order of the answer; all if empty.
    pub outputs: Vec<OutputForm>,
    /// True if outputs are in binary form unless they ask for another.
    pub binary: bool,
    /// True if the answer says how long the request waited and ran.
    pub with_timing: bool,
}

/// One output that a request asks for.
#[derive(Debug)]
pub(super) struct OutputForm {
    pub name: String,
    pub binary: bool,
}

#[derive(Serialize)]
struct AnswerHead<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Timing>,
    outputs: Vec<OutputHead<'a>>,
}

/// The times of a request, in microseconds.
#[derive(Serialize)]
struct Timing {
    queue_us: u64,
    compute_us: u64,
}

#[derive(Serialize)]
struct OutputHead<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [usize],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BinarySize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<JsonForm<'a>>,
}

#[derive(Serialize)]
struct BinarySize {
    binary_data_size: usize,
}

/// Returns the answer with the outputs that the request asks for. Its bytes stay in flight until the
/// connection has written them.
///
/// # Errors
/// If an output has no form in JSON.
pub(super) fn write(
    model: &str,
    answer: InferAnswer,
    form: &AnswerForm,
    mut reservation: Reservation,
    connection: Option<&Connection>,
) -> Result<Response<Body>, ServeError> {
    let outputs = choose(model, answer.outputs, form)?;
    let sizes: Vec<Option<usize>> = outputs
        .iter()
        .map(|(output, binary)| binary.then(|| binary_size(output.tensor.data())))
        .collect();
    let json_bytes: usize =
        outputs.iter().filter(|(_, binary)| !binary).map(|(it, _)| it.tensor.bytes()).sum();
    let head = AnswerHead {
        id: &form.id,
        model_name: model,
        model_version: &answer.version,
        parameters: form.with_timing.then_some(Timing {
            queue_us: answer.queue.as_micros() as u64,
            compute_us: answer.compute.as_micros() as u64,
        }),
        outputs: outputs
            .iter()
            .zip(&sizes)
            .map(|((output, _), size)| OutputHead {
                name: &output.name,
                datatype: datatype(output.tensor.element()),
                shape: output.tensor.shape(),
                parameters: size.map(|binary_data_size| BinarySize { binary_data_size }),
                data: size.is_none().then_some(JsonForm(output)),
            })
            .collect(),
    };
    let json = off_runtime(json_bytes, || serde_json::to_vec(&head))
        .map_err(|error| ServeError::bad_request(error.to_string()))?;
    let head_length = json.len();
    let mut chunks = VecDeque::with_capacity(1 + outputs.len());
    chunks.push_back(Bytes::from(json));
    let binary = outputs.into_iter().filter(|(_, binary)| *binary);
    chunks.extend(binary.map(|(output, _)| binary_form(output)).filter(|bytes| !bytes.is_empty()));
    let left: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    reservation.add(left);
    if let Some(connection) = connection {
        connection.add_sent(left);
    }
    // Each chunk holds it: hyper drops the body once it has taken the chunks, before they are written.
    let reservation = Arc::new(reservation);
    let chunks = chunks.into_iter().map(|chunk| hold(chunk, reservation.clone())).collect();
    let body = Body::new(AnswerBody { chunks, left });
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, left.into());
    if sizes.iter().any(Option::is_some) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(HeaderName::from_static(HEAD_LENGTH), head_length.into());
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(response)
}

/// Returns the outputs of the answer, and whether each is in binary form.
fn choose(
    model: &str,
    mut outputs: Vec<NamedTensor>,
    form: &AnswerForm,
) -> Result<Vec<(NamedTensor, bool)>, ServeError> {
    if form.outputs.is_empty() {
        return Ok(outputs.into_iter().map(|output| (output, form.binary)).collect());
    }
    let take =
        |wanted: &OutputForm| Ok((take_output(model, &mut outputs, &wanted.name)?, wanted.binary));
    form.outputs.iter().map(take).collect()
}

fn binary_size(data: &TensorData) -> usize {
    match data {
        TensorData::String(texts) => bytes_tensor::encoded_size(texts),
        other => other.bytes(),
    }
}

/// The body of an answer.
struct AnswerBody {
    chunks: VecDeque<Bytes>,
    left: u64,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let chunk = self.chunks.pop_front();
        self.left -= chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;

    use super::*;
    use crate::engine::Tensor;
    use crate::server::in_flight::InFlight;

    #[tokio::test]
    async fn unwritten_bytes_stay_in_flight() {
        let in_flight = Arc::new(InFlight::new(1000));
        let tensor = Tensor::new(vec![100], TensorData::U8(vec![7; 100])).unwrap();
        let answer = InferAnswer {
            outputs: vec![NamedTensor { name: "y".to_owned(), tensor }],
            version: "1".to_owned(),
            queue: Duration::ZERO,
            compute: Duration::ZERO,
        };
        let form = AnswerForm { binary: true, ..AnswerForm::default() };
        let reservation = in_flight.reserve(0).unwrap();
        let mut body = write("m", answer, &form, reservation, None).unwrap().into_body();
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        drop(body);
        assert_eq!(frames.last().unwrap().as_ref(), [7; 100]);
        let written: u64 = frames.iter().map(|frame| frame.len() as u64).sum();
        assert_eq!(in_flight.used(), written);
        drop(frames);
        assert_eq!(in_flight.used(), 0);
    }
}
