//! The server over gRPC: tonic's client on one side, echo models on the other.
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod grpc;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use divvy::layout::{Edit, ServerLimits};
use divvy::server::ErrorKind;
use tokio::task::JoinSet;
use tonic::codec::CompressionEncoding;
use tonic::codegen::tokio_stream::{self, StreamExt};
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use grpc::h2_channel::WIDE;
use grpc::messages::{
    Contents, Empty, Flag, HealthAnswer, HealthRequest, InferRequest, ModelMetadata, ModelName,
    Parameter, StreamAnswer, Value,
};
use grpc::{GrpcServer, PATIENCE, QUEUE, floats, raw_floats, typed};

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;

fn start() -> GrpcServer {
    GrpcServer::start(ServerLimits::default())
}

fn name(name: &str) -> ModelName {
    ModelName { name: name.to_owned(), version: String::new() }
}

fn health(service: &str) -> HealthRequest {
    HealthRequest { service: service.to_owned() }
}

#[test]
fn metadata_describes_the_model() {
    let server = start();
    let client = server.connect();
    server.block_on(async {
        let live: Flag = client.call("ServerLive", Empty {}).await.unwrap();
        let ready: Flag = client.call("ModelReady", name("texts")).await.unwrap();
        let missing: Flag = client.call("ModelReady", name("none")).await.unwrap();
        assert_eq!((live.value, ready.value, missing.value), (true, true, false));
        let model: ModelMetadata = client.call("ModelMetadata", name("texts")).await.unwrap();
        assert_eq!((model.name.as_str(), model.versions.len()), ("texts", 1));
        let (input, output) = (&model.inputs[0], &model.outputs[0]);
        assert_eq!((input.name.as_str(), input.datatype.as_str()), ("x", "BYTES"));
        assert_eq!((output.name.as_str(), &output.shape[..]), ("y", &[-1][..]));
    });
}

#[test]
fn raw_and_typed_contents_are_alike() {
    let server = start();
    let client = server.connect();
    let values = vec![1.5, -2.0, f32::MAX];
    let contents = Contents { fp32: values.clone(), ..Contents::default() };
    let timing = Parameter { value: Some(Value::Bool(true)) };
    let raw = InferRequest {
        id: "7".to_owned(),
        parameters: BTreeMap::from([("timing".to_owned(), timing)]),
        ..raw_floats(&values)
    };
    server.block_on(async {
        let answer = client.infer(raw).await.unwrap();
        assert_eq!((answer.id.as_str(), answer.version.as_str()), ("7", "1"));
        assert_eq!(floats(&answer), values);
        assert!(answer.parameters.contains_key("compute_us"));
        let answer = client.infer(typed("floats", "FP32", contents)).await.unwrap();
        assert_eq!(floats(&answer), values);
    });
}

#[test]
fn texts_come_back_unchanged() {
    let server = start();
    let client = server.connect();
    let texts = ["", "ä", "two words"].map(|text| Bytes::from_static(text.as_bytes()));
    let mut raw = Vec::new();
    for text in &texts {
        raw.extend((text.len() as u32).to_le_bytes());
        raw.extend_from_slice(text);
    }
    let contents = Contents { bytes: texts.to_vec(), ..Contents::default() };
    let mut request = typed("texts", "BYTES", contents);
    server.block_on(async {
        let answer = client.infer(request.clone()).await.unwrap();
        assert_eq!(
            (&answer.outputs[0].shape[..], &answer.raw[0]),
            (&[3][..], &Bytes::from(raw.clone()))
        );
        request.inputs[0].contents = None;
        request.raw = vec![raw.clone().into()];
        assert_eq!(client.infer(request).await.unwrap().raw[0], raw);
    });
}

#[test]
fn faults_of_requests_have_their_codes() {
    let server = start();
    let client = server.connect();
    let good = raw_floats(&[1.0]);
    let (mut unknown, mut version, mut input, mut cut) =
        (good.clone(), good.clone(), good.clone(), good.clone());
    unknown.model = "none".to_owned();
    version.version = "9".to_owned();
    input.inputs[0].name = "wrong".to_owned();
    cut.raw[0] = cut.raw[0].slice(1..);
    let cases = [
        (unknown, Code::NotFound, "`none`"),
        (version, Code::NotFound, "`9`"),
        (input, Code::InvalidArgument, "`wrong`"),
        (cut, Code::InvalidArgument, "`x`"),
    ];
    server.block_on(async {
        for (request, code, text) in cases {
            let status = client.infer(request).await.unwrap_err();
            assert_eq!(status.code(), code, "{status}");
            assert!(status.message().contains(text), "{status}");
        }
        for method in ["RepositoryModelLoad", "TraceSetting", "SystemSharedMemoryStatus"] {
            let answer: Result<Empty, _> = client.call(method, Empty {}).await;
            assert_eq!(answer.unwrap_err().code(), Code::Unimplemented, "{method}");
        }
        assert_eq!(client.infer(good).await.unwrap().raw.len(), 1);
    });
}

#[test]
fn failed_run_is_internal() {
    let server = start();
    let client = server.connect();
    server.control.fails.store(true, Ordering::SeqCst);
    let status = server.block_on(client.infer(raw_floats(&[1.0]))).unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status}");
    assert!(status.message().contains("`floats`"), "{status}");
}

#[test]
fn full_queue_refuses_at_once() {
    let server = start();
    let client = server.connect();
    server.pause(true);
    server.wait("the model is not ready", |server| !server.state.is_model_ready("floats"));
    server.block_on(async {
        let ready: Flag = client.call("ModelReady", name("floats")).await.unwrap();
        assert!(!ready.value);
        let mut requests = JoinSet::new();
        for _ in 0..=QUEUE {
            let client = client.clone();
            requests.spawn(async move { client.infer(raw_floats(&[1.0])).await });
        }
        // Those in the queue wait for as long as the model is paused.
        let status = requests.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        server.pause(false);
        while let Some(answer) = requests.join_next().await {
            assert_eq!(floats(&answer.unwrap().unwrap()), [1.0]);
        }
    });
}

#[test]
fn deadline_bounds_the_time_in_the_queue() {
    let server = start();
    let client = server.connect();
    server.pause(true);
    let timeout = Parameter { value: Some(Value::Int64(20_000)) };
    let by_parameter = InferRequest {
        parameters: BTreeMap::from([("timeout".to_owned(), timeout)]),
        ..raw_floats(&[1.0])
    };
    server.block_on(async {
        let status = client.infer(by_parameter).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
        let answer = client.infer_within(Duration::from_millis(20), raw_floats(&[1.0])).await;
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    });
    server.wait("both have timed out", |server| server.counts("floats").timed_out == 2);
}

#[test]
fn queued_request_ends_with_its_client() {
    let server = start();
    let client = server.connect();
    server.pause(true);
    let queued = server.spawn_infer(&client, raw_floats(&[1.0]));
    server.wait("the request is queued", |server| server.counts("floats").queued == 1);
    queued.abort();
    server.wait("the request is cancelled", |server| server.counts("floats").cancelled == 1);
    server.wait("the queue is empty", |server| server.counts("floats").queued == 0);
    assert!(!server.has_started(1));
}

#[test]
fn cancelled_run_costs_no_instance() {
    let server = start();
    let client = server.connect();
    let built = server.control.built.load(Ordering::SeqCst);
    server.block_runs(true);
    let running = server.spawn_infer(&client, raw_floats(&[1.0]));
    server.wait("the request runs", |server| server.has_started(1));
    running.abort();
    let cancelled = |server: &GrpcServer| {
        server.state.activity.model("floats").refused(ErrorKind::Cancelled) == 1
    };
    server.wait("the request is cancelled", cancelled);
    server.block_runs(false);
    let answer = server.block_on(client.infer(raw_floats(&[2.0]))).unwrap();
    assert_eq!(floats(&answer), [2.0]);
    assert_eq!(server.control.built.load(Ordering::SeqCst), built);
    server.wait("nothing is in flight", |server| server.state.in_flight.used() == 0);
}

#[test]
fn stream_has_one_answer_per_request_in_order() {
    // Some are large enough to be compressed and decompressed off the runtime.
    let values = |n: i32| vec![n as f32; if n % 10 == 0 { 20_000 } else { 1 }];
    let request = move |n: i32| {
        let values = if n % 5 == 3 { vec![] } else { values(n) };
        let mut request = InferRequest { id: n.to_string(), ..raw_floats(&values) };
        if n % 5 == 3 {
            request.inputs[0].name = "wrong".to_owned();
        }
        request
    };
    let server = start();
    for coding in [None, Some(CompressionEncoding::Gzip)] {
        let mut client = server.connect();
        if let Some(coding) = coding {
            client.grpc = client.grpc.send_compressed(coding).accept_compressed(coding);
        }
        let path = "/inference.GRPCInferenceService/ModelStreamInfer".parse().unwrap();
        let requests = Request::new(tokio_stream::iter((0..100).map(request)));
        let codec = ProstCodec::<InferRequest, StreamAnswer>::default();
        let answers: Vec<StreamAnswer> = server.block_on(async {
            client.grpc.ready().await.unwrap();
            let answers = client.grpc.streaming(requests, path, codec).await.unwrap();
            answers.into_inner().map(|answer| answer.unwrap()).collect().await
        });
        assert_eq!(answers.len(), 100, "{coding:?}");
        for (n, StreamAnswer { error, answer }) in answers.into_iter().enumerate() {
            let answer = answer.unwrap();
            assert_eq!(answer.id, n.to_string());
            if n % 5 == 3 {
                assert!(error.contains("`wrong`"), "{n}: {error}");
            } else if error.is_empty() {
                assert_eq!(floats(&answer), values(n as i32));
            } else {
                // the stream has more requests at once than the queue
                assert!(error.contains("queue"), "{n}: {error}");
            }
        }
    }
}

#[test]
fn health_follows_the_models() {
    let server = start();
    let mut client = server.connect();
    server.block_on(async {
        for service in ["", "inference.GRPCInferenceService", "floats"] {
            let answer: HealthAnswer =
                client.call("grpc.health.v1.Health/Check", health(service)).await.unwrap();
            assert_eq!(answer.status, SERVING, "{service}");
        }
        let unknown: Result<HealthAnswer, _> =
            client.call("grpc.health.v1.Health/Check", health("none")).await;
        assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
        let codec = ProstCodec::<HealthRequest, HealthAnswer>::default();
        let path = "/grpc.health.v1.Health/Watch".parse().unwrap();
        client.grpc.ready().await.unwrap();
        let watched = client.grpc.server_streaming(Request::new(health("floats")), path, codec);
        let mut watched = watched.await.unwrap().into_inner();
        assert_eq!(watched.next().await.unwrap().unwrap().status, SERVING);
        server.pause(true);
        assert_eq!(watched.next().await.unwrap().unwrap().status, NOT_SERVING);
    });
}

#[test]
fn removed_model_is_not_found() {
    let server = start();
    let client = server.connect();
    server.apply(Edit::Remove { model: "floats".to_owned() });
    let status = server.block_on(client.infer(raw_floats(&[1.0]))).unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
}

#[test]
fn drain_answers_the_admitted_call() {
    let mut server = start();
    let (client, connection_end) = server.connect_with(WIDE);
    server.block_runs(true);
    let running = server.server.take().unwrap();
    let admitted = server.spawn_infer(&client, raw_floats(&[3.0]));
    server.wait("the request runs", |server| server.has_started(1));
    running.start_drain();
    let late = server.connect();
    server.block_on(async {
        let status = late.infer(raw_floats(&[1.0])).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        // After GOAWAY, the client's side of the old connection refuses new calls.
        assert!(client.infer(raw_floats(&[1.0])).await.is_err());
    });
    server.block_runs(false);
    server.block_on(async {
        assert_eq!(floats(&admitted.await.unwrap().unwrap()), [3.0]);
        assert!(connection_end.await.unwrap().is_ok(), "the connection ends without an error");
    });
    let end = running.stop(PATIENCE, std::future::pending());
    assert_eq!(end.unanswered, 0);
}

#[test]
fn size_limit_counts_decompressed_bytes() {
    let limit = 1 << 20;
    let server = GrpcServer::start(ServerLimits { body: limit, ..ServerLimits::default() });
    let mut client = server.connect();
    let small = raw_floats(&vec![0.0; 1 << 17]);
    let large = raw_floats(&vec![0.0; 1 << 23]);
    let codings = [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Deflate)];
    for coding in codings {
        if let Some(coding) = coding {
            client.grpc = client.grpc.clone().send_compressed(coding).accept_compressed(coding);
        }
        server.block_on(async {
            let status = client.infer(large.clone()).await.unwrap_err();
            assert_eq!(status.code(), Code::ResourceExhausted, "{coding:?}: {status}");
            assert!(status.message().contains(&limit.to_string()), "{coding:?}: {status}");
            let answer = client.infer(small.clone()).await.unwrap();
            assert_eq!(answer.raw, small.raw, "{coding:?}");
        });
    }
    let refused = server.state.activity.unknown_model().refused(ErrorKind::TooLarge);
    assert_eq!(refused, codings.len() as u64);
    server.wait("nothing is in flight", |server| server.state.in_flight.used() == 0);
}

#[test]
fn closed_window_ends_the_connection() {
    let limits =
        ServerLimits { send_timeout: Duration::from_millis(100), ..ServerLimits::default() };
    let server = GrpcServer::start(limits);
    for window in [0, 10] {
        let (client, end) = server.connect_with(window);
        server.block_on(async {
            let answer = client.infer(raw_floats(&[1.0; 100])).await;
            assert!(answer.is_err(), "{window}");
            // The server closes the connection; for the client that need not be an error.
            let _ = end.await.unwrap();
        });
        server.wait("nothing is in flight", |server| server.state.in_flight.used() == 0);
    }
    let client = server.connect();
    assert!(server.block_on(client.infer(raw_floats(&[1.0; 100]))).is_ok());
}
