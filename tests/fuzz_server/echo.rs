//! A server in this process whose only model returns its inputs.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use divvy::Scheduler;
use divvy::engine::{
    EngineError, EngineKind, EngineMemory, Instance, InstanceSetup, Model, NamedTensor, Signature,
};
use divvy::layout::{Budget, Layout, ModelSource, ServerLimits};
use divvy::machine::allocation::{Account, CountingAllocator};
use divvy::machine::{SimulatedMachine, ThreadId};
use divvy::scheduler::{LoadRequest, LoadedModel, Loader, Options, PreparedRequests};
use divvy::server::{ServerOptions, ServerState, grpc_router, router_of};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use tower::ServiceExt;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// The name of the model.
pub(crate) const MODEL: &str = "echo";

/// The limit on bodies.
pub(crate) const BODY_LIMIT: u64 = 1 << 20;

/// Longer than the start takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The most bytes that the server may allocate for one request.
const MOST_ALLOCATED: u64 = 16 * BODY_LIMIT;

#[derive(Default)]
struct EchoModel(Signature);

impl Model for EchoModel {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn accepts_any_inputs(&self) -> bool {
        true
    }

    fn instance(&self, _: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
        Ok(Box::new(EchoInstance))
    }

    fn memory(&self) -> EngineMemory {
        EngineMemory::default()
    }
}

struct EchoInstance;

impl Instance for EchoInstance {
    fn threads(&self) -> Vec<ThreadId> {
        Vec::new()
    }

    fn run(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError> {
        Ok(inputs.to_vec())
    }

    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send)) {
        body(self);
    }
}

struct EchoLoader;

impl Loader for EchoLoader {
    fn load(&self, _: &LoadRequest) -> Result<LoadedModel, EngineError> {
        let requests =
            PreparedRequests { inputs: vec![Arc::default()], ..PreparedRequests::default() };
        Ok(LoadedModel {
            model: Arc::new(EchoModel::default()),
            engine: EngineKind::Synthetic,
            title: "echo".to_owned(),
            requests,
        })
    }
}

/// The server.
pub(crate) struct EchoServer {
    http: Router,
    grpc: Router,
    state: Arc<ServerState>,
    runtime: Runtime,
    account: Arc<Account>,
    _scheduler: Scheduler,
}

/// An answer of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

/// The body of a request, in pieces.
struct Pieces(VecDeque<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

impl EchoServer {
    pub(crate) fn start() -> Self {
        let options = Options::new(Arc::new(SimulatedMachine::uniform(2)), Arc::new(EchoLoader));
        let row = Budget::new(MODEL, ModelSource::File("/echo.onnx".into()));
        let layout = Layout { description: String::new(), models: vec![row] };
        let scheduler = Scheduler::start(&layout, options).unwrap();
        let limits = ServerLimits {
            body: BODY_LIMIT,
            receive_timeout: 5 * PATIENCE,
            ..ServerLimits::default()
        };
        let options = ServerOptions { limits, ..ServerOptions::default() };
        let state = ServerState::new(&scheduler, options);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let start = Instant::now();
        while !state.is_model_ready(MODEL) {
            assert!(start.elapsed() < PATIENCE, "the model does not run");
            std::thread::sleep(Duration::from_millis(2));
        }
        let (http, grpc) = (router_of(&state), grpc_router(&state));
        let account = Account::open();
        Self { http, grpc, state, runtime, account, _scheduler: scheduler }
    }

    /// Sends a request over HTTP, its body in `pieces` of one size.
    pub(crate) fn http(&self, request: Request<Vec<u8>>, pieces: usize) -> Answer {
        self.send(&self.http, request, pieces)
    }

    /// Sends a call over gRPC.
    pub(crate) fn grpc(&self, request: Request<Vec<u8>>, pieces: usize) -> Answer {
        self.send(&self.grpc, request, pieces)
    }

    fn send(&self, routes: &Router, request: Request<Vec<u8>>, pieces: usize) -> Answer {
        let request = request.map(|body| {
            let size = body.len().div_ceil(pieces).max(1);
            let body = Bytes::from(body);
            let cut = |start: usize| body.slice(start..body.len().min(start + size));
            Body::new(Pieces((0..body.len()).step_by(size).map(cut).collect()))
        });
        let account = self.account.enter();
        self.account.take_peak();
        let before = self.account.held().unwrap();
        let answer = self.runtime.block_on(async {
            let (head, body) = routes.clone().oneshot(request).await.unwrap().into_parts();
            let body = body.collect().await.unwrap();
            let trailers = body.trailers().cloned().unwrap_or_default();
            let (status, headers) = (head.status, head.headers);
            Answer { status, headers, body: body.to_bytes(), trailers }
        });
        drop(account);
        let allocated = self.account.take_peak().unwrap() - before;
        assert!(allocated <= MOST_ALLOCATED, "{allocated} bytes were allocated");
        answer
    }

    /// Returns the bytes of requests and answers in flight.
    pub(crate) fn in_flight(&self) -> u64 {
        self.state.in_flight.used()
    }
}
