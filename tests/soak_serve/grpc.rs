//! Clients over gRPC: calls that share a connection, and a stream.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{HeaderMap, Request};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use divvy::telemetry::Protocol;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use prost::Message;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::exchange::{Reply, Run, TestRequest};
use crate::messages::{
    Choice, InferRequest, InferResponse, InferTensor, Parameter, StreamResponse,
};

/// The bytes before each message: a flag (1 if it is compressed) and its size, big-endian.
const HEAD: usize = 5;

/// Calls at a time on the connection.
const CALLS: u64 = 3;

/// Requests of the stream that wait for their answers at a time.
const STREAMED: usize = 16;

/// Sends requests until the run ends.
pub(crate) fn send(run: &Run, address: SocketAddr, seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(async move { connection.await.unwrap() });
        tokio::join!(
            send_calls(run, sender.clone(), seed),
            send_calls(run, sender.clone(), seed + 1),
            send_calls(run, sender.clone(), seed + CALLS - 1),
            send_stream(run, sender.clone(), seed + CALLS),
        );
        drop(sender);
        timeout(PATIENCE, connection).await.unwrap().unwrap();
    });
}

async fn send_calls(run: &Run, sender: SendRequest<Bytes>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    while let Some(request) = run.next_request(&mut random) {
        let reply = timeout(PATIENCE, call(&sender, &request)).await.unwrap();
        run.count(&request, Protocol::Grpc, &reply);
    }
}

async fn send_stream(run: &Run, sender: SendRequest<Bytes>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut call = Call::start(&sender, "ModelStreamInfer").await;
    loop {
        let next = std::iter::from_fn(|| run.next_request(&mut random));
        let requests: Vec<_> = next.take(STREAMED).collect();
        if requests.is_empty() {
            break;
        }
        for request in &requests {
            call.requests.send_data(frame(&message(request)), false).unwrap();
        }
        for request in &requests {
            let answer = timeout(PATIENCE, call.answer::<StreamResponse>()).await.unwrap();
            let StreamResponse { error_message, infer_response } = answer.unwrap();
            let response = infer_response.unwrap();
            assert_eq!(response.id, request.id());
            let reply = if error_message.is_empty() {
                answered(response)
            } else {
                Reply::Refusal { status: None, message: error_message }
            };
            run.count(request, Protocol::Grpc, &reply);
        }
    }
    call.requests.send_data(Bytes::new(), true).unwrap();
    assert_eq!(timeout(PATIENCE, call.answer::<StreamResponse>()).await.unwrap(), None);
    assert_eq!(call.end().await, (0, String::new()));
}

/// Runs one request.
async fn call(sender: &SendRequest<Bytes>, request: &TestRequest) -> Reply {
    let mut call = Call::start(sender, "ModelInfer").await;
    call.requests.send_data(frame(&message(request)), true).unwrap();
    let answer = call.answer::<InferResponse>().await;
    assert!(answer.is_none() || call.answer::<InferResponse>().await.is_none());
    match (call.end().await, answer) {
        ((0, _), Some(response)) => answered(response),
        ((status, message), None) => Reply::Refusal { status: Some(status), message },
        (end, answer) => panic!("{end:?} after {answer:?}"),
    }
}

fn message(request: &TestRequest) -> InferRequest {
    let values = request.values();
    let shape = vec![values.len() as i64];
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let number = |number| Parameter { choice: Some(Choice::Number(number)) };
    let timeout = request.timeout().map(|timeout| ("timeout".to_owned(), number(timeout)));
    let input = InferTensor {
        name: "x".to_owned(),
        datatype: "FP32".to_owned(),
        shape,
        ..InferTensor::default()
    };
    InferRequest {
        model_name: request.model.to_owned(),
        id: request.id(),
        parameters: timeout.into_iter().collect(),
        inputs: vec![input],
        raw_input_contents: vec![raw.into()],
        ..InferRequest::default()
    }
}

/// Returns a message after its head.
fn frame(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(message.encoded_len() as u32);
    message.encode(&mut bytes).unwrap();
    bytes.freeze()
}

fn answered(response: InferResponse) -> Reply {
    let values = crate::floats(&response.raw_output_contents[0]);
    let output = &response.outputs[0];
    assert_eq!((output.name.as_str(), &*output.shape), ("y", &[values.len() as i64][..]));
    Reply::Answer { id: response.id, model: response.model_name, values }
}

/// A call of a method.
struct Call {
    requests: SendStream<Bytes>,
    /// The answers, once their head has arrived.
    answers: Option<(HeaderMap, RecvStream)>,
    response: Option<h2::client::ResponseFuture>,
    received: BytesMut,
}

impl Call {
    async fn start(sender: &SendRequest<Bytes>, method: &str) -> Self {
        let request =
            Request::post(format!("http://divvy/inference.GRPCInferenceService/{method}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(())
                .unwrap();
        let mut sender = timeout(PATIENCE, sender.clone().ready()).await.unwrap().unwrap();
        let (response, requests) = sender.send_request(request, false).unwrap();
        Self { requests, answers: None, response: Some(response), received: BytesMut::new() }
    }

    /// Returns the next message of the answer; `None` at its end.
    async fn answer<A: Message + Default>(&mut self) -> Option<A> {
        loop {
            if let [0, size @ ..] = self.received.first_chunk::<HEAD>().unwrap_or(&[1; HEAD]) {
                let size = u32::from_be_bytes(*size) as usize;
                if self.received.len() >= HEAD + size {
                    self.received.advance(HEAD);
                    return Some(A::decode(self.received.split_to(size)).unwrap());
                }
            }
            let answers = self.answers().await;
            let Some(data) = answers.data().await else {
                assert!(self.received.is_empty(), "half a message");
                return None;
            };
            let data = data.unwrap();
            answers.flow_control().release_capacity(data.len()).unwrap();
            self.received.extend_from_slice(&data);
        }
    }

    async fn answers(&mut self) -> &mut RecvStream {
        if let Some(response) = self.response.take() {
            let (head, answers) = response.await.unwrap().into_parts();
            assert_eq!(head.status, 200);
            self.answers = Some((head.headers, answers));
        }
        &mut self.answers.as_mut().unwrap().1
    }

    /// Returns the status and its message.
    async fn end(mut self) -> (u16, String) {
        let trailers = timeout(Duration::from_secs(10), self.answers().await.trailers()).await;
        // A refusal before the first message is in the head.
        let head = self.answers.unwrap().0;
        let end = trailers.unwrap().unwrap().unwrap_or(head);
        let text = |name| end.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        (text("grpc-status").parse().unwrap(), text("grpc-message"))
    }
}
