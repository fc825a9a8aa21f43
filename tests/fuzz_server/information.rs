//! Requests for information: the other methods over gRPC, and the list of models over HTTP.

use axum::http::Request;
use bytes::BufMut;
use prost::Message;
use serde_json::Value;

use crate::damage::damage;
use crate::echo::{EchoServer, MODEL};
use crate::grpc::status;
use crate::messages::InferRequest;

const METHODS: [&str; 9] = [
    "ServerLive",
    "ServerReady",
    "ServerMetadata",
    "ModelReady",
    "ModelMetadata",
    "ModelConfig",
    "ModelStatistics",
    "RepositoryIndex",
    "RepositoryModelLoad",
];

/// The codes that a damaged call may end with: `OK`, `INVALID_ARGUMENT`, `NOT_FOUND`, `RESOURCE_EXHAUSTED`,
/// `UNIMPLEMENTED`, and `INTERNAL` for a message that cannot be read, by tonic's own rules.
const CODES: [u16; 6] = [0, 3, 5, 8, 12, 13];

const LISTS: [&str; 5] =
    ["", "{}", "{\"ready\":true}", "{\"ready\":false,\"other\":[1,{}]}", " { \"ready\" : null } "];

/// A request without tensors.
#[derive(Debug)]
pub(crate) enum InformationCase {
    /// The body of a request for the list of models.
    List(Vec<u8>),
    /// A method with its message.
    Call(&'static str, Vec<u8>),
}

impl InformationCase {
    pub(crate) fn random(random: &mut fastrand::Rng) -> Self {
        let is_damaged = random.u8(0..4) > 0;
        if random.u8(0..4) == 0 {
            let mut body = random.choice(LISTS).unwrap().as_bytes().to_vec();
            if is_damaged {
                damage(random, &mut body, &crate::http::PIECES, &[]);
            }
            return Self::List(body);
        }
        // The first two fields of all messages are a name and a version, or a name and a flag.
        let named = InferRequest {
            model_name: random.choice([MODEL, "", "none"]).unwrap().to_owned(),
            model_version: random.choice(["", "1", "2"]).unwrap().to_owned(),
            ..InferRequest::default()
        };
        let mut message = named.encode_to_vec();
        if is_damaged {
            damage(random, &mut message, &crate::grpc::PIECES, &[]);
        }
        Self::Call(random.choice(METHODS).unwrap(), message)
    }

    /// Sends the request; panics if the answer breaks a promise. Returns true if it succeeded.
    pub(crate) fn examine(&self, server: &EchoServer, pieces: usize) -> bool {
        match self {
            Self::List(body) => {
                let request = Request::post("/v2/repository/index").body(body.clone()).unwrap();
                let answer = server.http(request, pieces);
                let content: Value = serde_json::from_slice(&answer.body).unwrap();
                match answer.status.as_u16() {
                    200 => assert_eq!(content[0]["name"], MODEL),
                    400 | 413 => assert!(!content["error"].as_str().unwrap().is_empty()),
                    _ => panic!("{answer:?}"),
                }
                answer.status == 200
            }
            Self::Call(method, message) => {
                let mut body = vec![0];
                body.put_u32(message.len() as u32);
                body.extend(message);
                let request = Request::post(format!("/inference.GRPCInferenceService/{method}"))
                    .header("content-type", "application/grpc")
                    .header("te", "trailers");
                let answer = server.grpc(request.body(body).unwrap(), pieces);
                let (code, text) = status(&answer.trailers).or(status(&answer.headers)).unwrap();
                assert!(CODES.contains(&code), "{answer:?}");
                assert!(code == 0 || (!text.is_empty() && text.len() < 8000), "{answer:?}");
                code == 0
            }
        }
    }
}
