//! Reads and writes the messages of inference.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes};
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

use super::call::{Call, IncomingMessage};
use super::messages::ModelInferRequest;
use super::status;
use crate::machine::running_now;
use crate::server::in_flight::Reservation;
use crate::server::off_runtime::off_runtime;
use crate::server::serve_error::{ErrorKind, ServeError};

/// The most inputs, requested outputs, raw contents and parameters of a request together. An empty one takes
/// two bytes of the message but more than a hundred in memory.
const MOST_PARTS: usize = 4096;

/// A request that has arrived as a whole.
pub(super) struct ReceivedRequest {
    pub message: ModelInferRequest,
    /// Its bytes in flight.
    pub reservation: Reservation,
    /// Its size in bytes, decompressed.
    pub size: usize,
    /// The arrival of its last byte.
    pub arrival: Instant,
}

/// Reads requests of a call, and writes answers of type `A`.
pub(super) struct InferCodec<A> {
    call: Arc<Call>,
    answer: PhantomData<A>,
}

impl<A> InferCodec<A> {
    pub(super) fn new(call: Arc<Call>) -> Self {
        Self { call, answer: PhantomData }
    }
}

impl<A: Message + Send + 'static> Codec for InferCodec<A> {
    type Encode = A;
    type Decode = ReceivedRequest;
    type Encoder = ProstEncoder<A>;
    type Decoder = InferDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        InferDecoder { call: self.call.clone() }
    }
}

/// Reads requests.
pub(super) struct InferDecoder {
    call: Arc<Call>,
}

impl Decoder for InferDecoder {
    type Item = ReceivedRequest;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<ReceivedRequest>, Status> {
        let received = self.read(buffer).map_err(|error| {
            self.call.fail(error.kind);
            status(&error)
        })?;
        self.call.request_was_read();
        Ok(Some(received))
    }
}

impl InferDecoder {
    fn read(&self, buffer: &mut DecodeBuf<'_>) -> Result<ReceivedRequest, ServeError> {
        let arrival = running_now();
        let Some(incoming) = self.call.take_message() else {
            return Err(ServeError::new(ErrorKind::Failed, "the request's size was not read"));
        };
        let (message, reservation) =
            self.decompress(buffer.copy_to_bytes(buffer.remaining()), incoming)?;
        let size = message.len();
        let message = off_runtime(size, || {
            check_parts(&message)?;
            ModelInferRequest::decode(message).map_err(|error| unreadable(&error))
        })?;
        Ok(ReceivedRequest { message, reservation, size, arrival })
    }

    /// Returns a message decompressed, with its bytes in flight.
    fn decompress(
        &self,
        message: Bytes,
        incoming: IncomingMessage,
    ) -> Result<(Bytes, Reservation), ServeError> {
        let IncomingMessage { size, coding, mut reservation } = incoming;
        let Some(coding) = coding else { return Ok((message, reservation)) };
        let mut reserved = size;
        let decompressed = coding.decompress(&message, self.call.limits.body, |more| {
            if !reservation.grow(more) {
                return Err(self.call.state.server_full(more));
            }
            reserved += more;
            Ok(())
        })?;
        reservation.shrink(reserved.saturating_sub(decompressed.len() as u64));
        Ok((decompressed.into(), reservation))
    }
}

fn unreadable(error: &prost::DecodeError) -> ServeError {
    ServeError::bad_request(format!("the request is no ModelInferRequest: {error}"))
}

/// Checks the number of parts of a request before it is read.
fn check_parts(mut message: &[u8]) -> Result<(), ServeError> {
    let mut parts = 0;
    while !message.is_empty() {
        let (tag, wire) = decode_key(&mut message).map_err(|error| unreadable(&error))?;
        parts += usize::from((4..=7).contains(&tag));
        if parts > MOST_PARTS {
            return Err(ServeError::bad_request(format!(
                "the request has more than {MOST_PARTS} inputs, outputs and parameters"
            )));
        }
        skip_field(wire, tag, &mut message, DecodeContext::default())
            .map_err(|error| unreadable(&error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::grpc::messages::InferInputTensor;

    #[test]
    fn number_of_parts_is_limited() {
        let inputs = |count| {
            let message = ModelInferRequest {
                inputs: vec![InferInputTensor::default(); count],
                ..ModelInferRequest::default()
            };
            check_parts(&message.encode_to_vec())
        };
        assert!(inputs(MOST_PARTS).is_ok());
        let error = inputs(MOST_PARTS + 1).unwrap_err();
        assert!(error.message.contains("more than 4096"), "{error}");
    }

    #[test]
    fn malformed_message_is_a_bad_request() {
        for message in [&b"\x0a\xff"[..], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x00"]
        {
            let error = check_parts(message).unwrap_err();
            assert_eq!(error.kind, ErrorKind::BadRequest);
        }
    }
}
