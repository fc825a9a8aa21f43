//! Calls over gRPC: one message, or a stream of them.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, Request};
use bytes::{BufMut, Bytes};
use prost::Message;

use crate::echo::{EchoServer, MODEL};
use crate::messages::{
    Choice, Contents, InferRequest, InferResponse, InferTensor, Parameter, RequestedOutput,
    StreamResponse,
};
use crate::tensors::{DATATYPES, PlainTensor, random_bytes, random_shape, text_bytes};

/// The codes that a damaged request may end with: `OK`, `INVALID_ARGUMENT`, `DEADLINE_EXCEEDED`, `NOT_FOUND`,
/// `RESOURCE_EXHAUSTED`, `UNIMPLEMENTED`. Nothing that a client sends makes a model fail (`INTERNAL`).
const CODES: [u16; 6] = [0, 3, 4, 5, 8, 12];

/// The code of a call without a message, and of one that cannot be decompressed or has an unknown flag, by gRPC's
/// own rules.
const INTERNAL: u16 = 13;

/// Pieces that change the meaning of a message: keys, types, and keys of fields with a length.
pub(crate) const PIECES: [&str; 20] = [
    MODEL,
    "FP32",
    "BYTES",
    "BOOL",
    "FP16",
    "timeout",
    "priority",
    "sequence_id",
    "classification",
    "shared_memory_region",
    "\u{a}\u{4}echo",
    "\u{1a}\u{1}7",
    "\u{22}\u{0}",
    "\u{2a}\u{0}",
    "\u{32}\u{0}",
    "\u{3a}\u{0}",
    "\u{3a}\u{4}\u{0}\u{0}\u{0}\u{0}",
    "\u{2a}\u{2}\u{18}\u{1}",
    "\u{b}",
    "\u{f}",
];

/// A body as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct GrpcCase {
    /// The messages without their heads.
    pub messages: Vec<Vec<u8>>,
    /// The flag before each message.
    pub flag: u8,
    /// Added to the announced sizes.
    pub size_error: i32,
    pub is_stream: bool,
}

impl GrpcCase {
    /// Reads a file of the corpus: one message.
    pub(crate) fn from_file(name: &str, content: &[u8]) -> Self {
        let flag = u8::from(name.strip_suffix(".gz").is_some());
        Self { messages: vec![content.to_vec()], flag, size_error: 0, is_stream: false }
    }

    /// Returns a random request that is right, mostly.
    pub(crate) fn random(random: &mut fastrand::Rng) -> Self {
        let message = random_request(random).encode_to_vec();
        Self { messages: vec![message], flag: 0, size_error: 0, is_stream: false }
    }

    /// Damages the frames around the messages.
    pub(crate) fn damage_frames(&mut self, random: &mut fastrand::Rng, other: &Self) {
        match random.u8(0..4) {
            0 => self.flag = random.u8(0..4),
            1 => self.size_error = random.choice([-1, 1, 1000, i32::MAX]).unwrap(),
            2 => self.messages.extend(other.messages.clone()),
            _ => self.messages.clear(),
        }
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for message in &self.messages {
            body.put_u8(self.flag);
            body.put_u32((message.len() as u32).saturating_add_signed(self.size_error));
            body.extend(message);
        }
        body
    }

    /// Sends the request; panics if the answer breaks a promise. Returns true if the model answered.
    pub(crate) fn examine(&self, server: &EchoServer, pieces: usize) -> bool {
        let method = if self.is_stream { "ModelStreamInfer" } else { "ModelInfer" };
        let request = Request::post(format!("/inference.GRPCInferenceService/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-encoding", if self.flag == 1 { "gzip" } else { "identity" });
        let answer = server.grpc(request.body(self.body()).unwrap(), pieces);
        assert_eq!(answer.status, 200, "{answer:?}");
        let (code, message) = status(&answer.trailers).or(status(&answer.headers)).unwrap();
        let is_plain = self.flag == 0 && self.size_error == 0 && !self.messages.is_empty();
        assert!(CODES.contains(&code) || (!is_plain && code == INTERNAL), "{answer:?}");
        assert!(code == 0 || (!message.is_empty() && message.len() < 8000), "{answer:?}");
        if self.flag == 1 {
            return code == 0;
        }
        let answers = frames(&answer.body);
        if !self.is_stream {
            assert_eq!(answers.len(), usize::from(code == 0), "{answer:?}");
            if let [answer] = answers.as_slice() {
                self.check(0, &InferResponse::decode(&**answer).unwrap());
            }
            return code == 0;
        }
        assert!(answers.len() <= self.messages.len());
        assert!(code != 0 || answers.len() == self.messages.len(), "{answer:?}");
        let mut answered = false;
        for (at, answer) in answers.iter().enumerate() {
            let StreamResponse { error_message, infer_response } =
                StreamResponse::decode(&**answer).unwrap();
            if error_message.is_empty() {
                self.check(at, &infer_response.unwrap());
                answered = true;
            }
        }
        answered
    }

    /// Checks the answer to a message that was accepted.
    fn check(&self, at: usize, response: &InferResponse) {
        let request = InferRequest::decode(&*self.messages[at]).unwrap();
        assert_eq!((response.model_name.as_str(), &response.id), (MODEL, &request.id));
        let inputs: Vec<PlainTensor> = request
            .inputs
            .iter()
            .enumerate()
            .map(|(at, input)| tensor(input, request.raw_input_contents.get(at)))
            .collect();
        let outputs: Vec<PlainTensor> = response
            .outputs
            .iter()
            .zip(&response.raw_output_contents)
            .map(|(output, raw)| tensor(output, Some(raw)))
            .collect();
        assert_eq!(response.outputs.len(), response.raw_output_contents.len());
        let named = |output: &RequestedOutput| {
            inputs.iter().find(|input| input.name == output.name).unwrap().clone()
        };
        let right = match request.outputs.as_slice() {
            [] => inputs,
            wanted => wanted.iter().map(named).collect(),
        };
        assert_eq!(outputs, right);
    }
}

/// Returns the status of an answer, if these headers have it.
pub(crate) fn status(headers: &HeaderMap) -> Option<(u16, String)> {
    let code = headers.get("grpc-status")?.to_str().unwrap().parse().unwrap();
    let message = headers.get("grpc-message").map_or("", |message| message.to_str().unwrap());
    Some((code, message.to_owned()))
}

/// Returns the messages of an answer.
fn frames(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some(([flag, size @ ..], rest)) = body.split_first_chunk::<5>() {
        assert_eq!(*flag, 0);
        let (message, rest) = rest.split_at(u32::from_be_bytes(*size) as usize);
        messages.push(message.to_vec());
        body = rest;
    }
    assert!(body.is_empty());
    messages
}

fn tensor(tensor: &InferTensor, raw: Option<&Bytes>) -> PlainTensor {
    let contents = tensor.contents.as_ref();
    let bytes = match raw {
        Some(raw) => raw.to_vec(),
        None => contents.map(|contents| binary(contents, &tensor.datatype)).unwrap_or_default(),
    };
    PlainTensor {
        name: tensor.name.clone(),
        datatype: tensor.datatype.clone(),
        shape: tensor.shape.iter().map(|dim| u64::try_from(*dim).unwrap()).collect(),
        bytes,
    }
}

/// Returns the binary form of typed contents.
fn binary(contents: &Contents, datatype: &str) -> Vec<u8> {
    let ints = |size: usize| {
        let bytes =
            contents.ints.iter().flat_map(|value| value.to_le_bytes().into_iter().take(size));
        bytes.collect()
    };
    let uints = |size: usize| {
        let bytes =
            contents.uints.iter().flat_map(|value| value.to_le_bytes().into_iter().take(size));
        bytes.collect()
    };
    match datatype {
        "BOOL" => contents.bools.iter().map(|value| u8::from(*value)).collect(),
        "INT8" => ints(1),
        "INT16" => ints(2),
        "INT32" => ints(4),
        "UINT8" => uints(1),
        "UINT16" => uints(2),
        "UINT32" => uints(4),
        "INT64" => contents.longs.iter().flat_map(|value| value.to_le_bytes()).collect(),
        "UINT64" => contents.ulongs.iter().flat_map(|value| value.to_le_bytes()).collect(),
        "FP32" => contents.floats.iter().flat_map(|value| value.to_le_bytes()).collect(),
        "FP64" => contents.doubles.iter().flat_map(|value| value.to_le_bytes()).collect(),
        "BYTES" => contents.texts.iter().flat_map(|text| text_bytes(text)).collect(),
        other => panic!("{other} has no typed contents"),
    }
}

fn random_request(random: &mut fastrand::Rng) -> InferRequest {
    let names = ["x", "y", "z"];
    let is_raw = random.bool();
    let mut request = InferRequest {
        model_name: if random.u8(0..50) == 0 { "none" } else { MODEL }.to_owned(),
        model_version: ["", "", "", "1", "2"][random.usize(..5)].to_owned(),
        id: ["", "7", "gr\u{f6}\u{df}e"][random.usize(..3)].to_owned(),
        parameters: random_parameters(random),
        ..InferRequest::default()
    };
    for at in 0..random.usize(0..4) {
        let name = names[if random.u8(0..50) == 0 { 0 } else { at }].to_owned();
        let mut datatype = random.choice(DATATYPES).unwrap();
        if !is_raw && ["FP16", "BF16"].contains(&datatype) && random.u8(0..10) > 0 {
            datatype = "INT8";
        }
        let (mut shape, mut count) = random_shape(random);
        match random.u8(0..60) {
            0 => count += 1,
            1 => shape.push(-1),
            2 => shape.extend([1 << 40, 1 << 40]),
            _ => {}
        }
        let mut contents = None;
        if is_raw {
            request.raw_input_contents.push(random_bytes(random, datatype, count).into());
        } else if count > 0 || random.bool() {
            contents = Some(random_contents(random, datatype, count));
        }
        let datatype = if random.u8(0..80) == 0 { "FP8" } else { datatype }.to_owned();
        request.inputs.push(InferTensor {
            name,
            datatype,
            shape,
            contents,
            ..InferTensor::default()
        });
    }
    if random.u8(0..3) == 0 {
        let name = names[random.usize(..2)].to_owned();
        request.outputs.push(RequestedOutput { name, ..RequestedOutput::default() });
    }
    request
}

fn random_contents(random: &mut fastrand::Rng, datatype: &str, count: usize) -> Contents {
    let mut contents = Contents::default();
    let bits = match datatype {
        "INT8" | "UINT8" => 8,
        "INT16" | "UINT16" => 16,
        _ => 32,
    };
    for _ in 0..count {
        // One in a hundred exceeds its type.
        let bits = if random.u8(0..100) == 0 { 32 } else { bits };
        match datatype {
            "BOOL" => contents.bools.push(random.bool()),
            "INT8" | "INT16" | "INT32" => contents.ints.push(random.i32(..) >> (32 - bits)),
            "UINT8" | "UINT16" | "UINT32" => contents.uints.push(random.u32(..) >> (32 - bits)),
            "INT64" => contents.longs.push(random.i64(..)),
            "UINT64" => contents.ulongs.push(random.u64(..)),
            "FP32" => contents.floats.push(f32::from_bits(random.u32(..))),
            "FP64" => contents.doubles.push(f64::from_bits(random.u64(..))),
            _ => contents.texts.push(["", "a", "Stra\u{df}e"][random.usize(..3)].into()),
        }
    }
    contents
}

fn random_parameters(random: &mut fastrand::Rng) -> BTreeMap<String, Parameter> {
    let number = Choice::Number;
    let choices = [
        ("timing", Choice::Bool(true)),
        ("timeout", number(1)),
        ("timeout", number(10_000_000)),
        ("timeout", number(-1)),
        ("priority", number(0)),
        ("priority", number(1)),
        ("priority", number(7)),
        ("sequence_id", number(0)),
        ("sequence_id", Choice::Text("a".to_owned())),
        ("other", Choice::Text("b".to_owned())),
    ];
    if random.bool() {
        return BTreeMap::new();
    }
    let (name, choice) = random.choice(choices).unwrap();
    BTreeMap::from([(name.to_owned(), Parameter { choice: Some(choice) })])
}
