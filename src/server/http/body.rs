//! The body of a request: its JSON part, and binary inputs read from the frames straight into their tensors.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use bytes::{Buf, Bytes};
use http_body_util::BodyExt;

use super::parameters::Parameters;
use super::request_head::{self, InputHead, InputSource, RequestHead};
use crate::engine::{ElementType, NamedTensor, Tensor};
use crate::server::counted_request::CountedRequest;
use crate::server::in_flight::Reservation;
use crate::server::off_runtime::off_runtime;
use crate::server::raw_tensor::{RawTensor, memory_of};
use crate::server::serve_error::ServeError;
use crate::server::state::ServerState;

/// The header with the length of the JSON part, if binary data follows it.
pub(super) const HEAD_LENGTH: &str = "inference-header-content-length";

/// A body that is being read, with the bytes that it holds in flight.
pub(super) struct RequestBody<'a> {
    state: &'a ServerState,
    counted: &'a CountedRequest,
    body: Body,
    /// Bytes of the newest frame that have not been used.
    rest: Bytes,
    /// Bytes received so far, decompressed.
    received: u64,
    limit: u64,
    reservation: Reservation,
    /// The bytes that are reserved.
    reserved: u64,
}

/// A request that has arrived whole.
pub(super) struct ReceivedRequest {
    pub id: String,
    pub parameters: Parameters,
    pub outputs: Vec<request_head::OutputHead>,
    pub inputs: Vec<NamedTensor>,
    pub reservation: Reservation,
}

impl<'a> RequestBody<'a> {
    /// Admits a body by the size that its headers announce. Nothing of it has been read.
    ///
    /// # Errors
    /// If it exceeds the limit, or does not fit beside the bytes in flight.
    pub(super) fn admit(
        state: &'a ServerState,
        counted: &'a CountedRequest,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Self, ServeError> {
        let limit = state.limits().body;
        let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let announced: u64 = announced.and_then(|value| value.parse().ok()).unwrap_or(0);
        if announced > limit {
            return Err(ServeError::too_large(limit));
        }
        let reservation =
            state.in_flight.reserve(announced).ok_or_else(|| state.server_full(announced))?;
        Ok(Self {
            state,
            counted,
            body,
            rest: Bytes::new(),
            received: 0,
            limit,
            reservation,
            reserved: announced,
        })
    }

    /// Reads the whole request. `head_length` is the length of its JSON part; `None` if that is all of it.
    ///
    /// # Errors
    /// If the body exceeds a limit, ends early, or is no request.
    pub(super) async fn read(
        mut self,
        head_length: Option<usize>,
    ) -> Result<ReceivedRequest, ServeError> {
        let head = match head_length {
            Some(length) => self.take(length).await?,
            None => self.take_all().await?,
        };
        let RequestHead { id, parameters, inputs, outputs } =
            off_runtime(head.len(), || request_head::parse(&head))?;
        let mut tensors = Vec::with_capacity(inputs.len());
        for InputHead { name, shape, element, source } in inputs {
            tensors.push(match source {
                InputSource::SharedMemory => {
                    return Err(ServeError::shared_memory(&format!("input `{name}`")));
                }
                InputSource::Json(data) => {
                    let tensor = Tensor::new(shape, data).ok_or_else(|| {
                        ServeError::bad_request(format!(
                            "input `{name}`: its data does not fit its shape"
                        ))
                    })?;
                    self.reserve_tensor(&tensor)?;
                    NamedTensor { name, tensor }
                }
                InputSource::Binary(size) => {
                    if head_length.is_none() {
                        return Err(ServeError::bad_request(format!(
                            "input `{name}`: it has binary data, but the request has no header \
                             Inference-Header-Content-Length"
                        )));
                    }
                    if size as u64 > self.limit {
                        return Err(ServeError::too_large(self.limit));
                    }
                    let raw = RawTensor::new(name, element, shape, size)?;
                    let input = self.fill(raw, size).await?;
                    if input.tensor.element() == ElementType::String {
                        self.reserve_tensor(&input.tensor)?;
                    }
                    input
                }
            });
        }
        if !self.rest.is_empty() || self.next_frame().await? {
            return Err(ServeError::bad_request(
                "the request has bytes after its last input; check Inference-Header-Content-Length and \
                 binary_data_size",
            ));
        }
        let reservation = self.reservation;
        Ok(ReceivedRequest { id, parameters, outputs, inputs: tensors, reservation })
    }

    /// Reads the next frame into `rest`. Returns false at the end of the body.
    async fn next_frame(&mut self) -> Result<bool, ServeError> {
        loop {
            let Some(frame) = self.body.frame().await else { return Ok(false) };
            let frame = frame.map_err(|error| unreadable(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            if data.is_empty() {
                continue;
            }
            self.received += data.len() as u64;
            self.counted.add_received(data.len() as u64);
            if self.received > self.limit {
                return Err(ServeError::too_large(self.limit));
            }
            if self.received > self.reserved {
                let more = self.received - self.reserved;
                self.reserve(more)?;
                self.reserved = self.received;
            }
            self.rest = data;
            return Ok(true);
        }
    }

    fn reserve(&mut self, bytes: u64) -> Result<(), ServeError> {
        if self.reservation.grow(bytes) { Ok(()) } else { Err(self.state.server_full(bytes)) }
    }

    /// Reserves what a tensor from JSON holds.
    fn reserve_tensor(&mut self, tensor: &Tensor) -> Result<(), ServeError> {
        let bytes = memory_of(tensor);
        if bytes == 0 { Ok(()) } else { self.reserve(bytes) }
    }

    /// Returns the next `length` bytes: a part of a frame if one holds them all, else a copy.
    async fn take(&mut self, length: usize) -> Result<Bytes, ServeError> {
        if length as u64 > self.limit {
            return Err(ServeError::too_large(self.limit));
        }
        if self.rest.is_empty() && length > 0 && !self.next_frame().await? {
            return Err(ends_early("its JSON part"));
        }
        if self.rest.len() >= length {
            return Ok(self.rest.split_to(length));
        }
        let mut bytes = Vec::with_capacity(length.min(self.reserved as usize));
        loop {
            let missing = length - bytes.len();
            let piece = self.rest.split_to(missing.min(self.rest.len()));
            bytes.extend_from_slice(&piece);
            if bytes.len() == length {
                return Ok(bytes.into());
            }
            if !self.next_frame().await? {
                return Err(ends_early("its JSON part"));
            }
        }
    }

    /// Returns the whole body.
    async fn take_all(&mut self) -> Result<Bytes, ServeError> {
        if !self.next_frame().await? {
            return Err(ServeError::bad_request("the request has no body"));
        }
        let first = std::mem::take(&mut self.rest);
        if !self.next_frame().await? {
            return Ok(first);
        }
        let mut bytes = Vec::with_capacity((self.reserved as usize).max(first.len()));
        bytes.extend_from_slice(&first);
        loop {
            bytes.extend_from_slice(&self.rest);
            self.rest.clear();
            if !self.next_frame().await? {
                return Ok(bytes.into());
            }
        }
    }

    /// Fills a tensor with the next `size` bytes.
    async fn fill(&mut self, mut raw: RawTensor, size: usize) -> Result<NamedTensor, ServeError> {
        let mut missing = size;
        while missing > 0 {
            if self.rest.is_empty() && !self.next_frame().await? {
                break;
            }
            let length = missing.min(self.rest.len());
            raw.push(self.rest.get(..length).unwrap_or_default())?;
            self.rest.advance(length);
            missing -= length;
        }
        raw.finish()
    }
}

fn ends_early(part: &str) -> ServeError {
    ServeError::bad_request(format!("the request ends before the end of {part}"))
}

fn unreadable(error: &axum::Error) -> ServeError {
    ServeError::bad_request(format!("the request's body cannot be read: {error}"))
}
