//! A server of gRPC over echo models, and a client of it.
#![allow(dead_code)]

pub(crate) mod echo_model;
pub(crate) mod h2_channel;
pub(crate) mod messages;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use divvy::layout::{
    Budget, Change, CoreRequest, Edit, Layout, ModelSource, QueuePolicy, ServerLimits,
};
use divvy::machine::SimulatedMachine;
use divvy::scheduler::{Control, Options, Scheduler};
use divvy::server::{Server, ServerOptions, ServerSockets, ServerState};
use divvy::telemetry::{Author, ModelState, Protocol, RequestCounts};
use tokio::task::JoinHandle;
use tonic::client::Grpc;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use echo_model::{EchoControl, EchoLoader};
use h2_channel::{ConnectionEnd, H2Channel, WIDE};
use messages::{Contents, InferAnswer, InferRequest, Tensor};

/// Longer than any step takes, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The most requests in the queue of a model.
pub(crate) const QUEUE: usize = 4;

/// A server on a free port. The models `floats` and `texts` have one instance each.
pub(crate) struct GrpcServer {
    pub scheduler: Scheduler,
    pub control: Arc<EchoControl>,
    pub state: Arc<ServerState>,
    pub server: Option<Server>,
    address: SocketAddr,
    runtime: tokio::runtime::Runtime,
}

/// A client over one connection.
#[derive(Clone)]
pub(crate) struct GrpcClient {
    pub grpc: Grpc<H2Channel>,
}

fn row(name: &str, core: &str) -> Budget {
    let queue = QueuePolicy { limit: QUEUE, ..QueuePolicy::default() };
    let cores = CoreRequest::List(core.parse().unwrap());
    Budget { cores, queue, ..Budget::new(name, ModelSource::File(format!("/{name}.onnx").into())) }
}

impl GrpcServer {
    pub(crate) fn start(limits: ServerLimits) -> Self {
        let control = Arc::new(EchoControl::default());
        let loader = Arc::new(EchoLoader(control.clone()));
        let mut options = Options::new(Arc::new(SimulatedMachine::uniform(2)), loader);
        options.interval = Duration::from_millis(20);
        let models = vec![row("floats", "0"), row("texts", "1")];
        let layout = Layout { description: String::new(), models };
        let scheduler = Scheduler::start(&layout, options).unwrap();
        let state =
            ServerState::new(&scheduler, ServerOptions { limits, ..ServerOptions::default() });
        let mut sockets = ServerSockets::default();
        sockets.bind(Protocol::Grpc, ([127, 0, 0, 1], 0).into()).unwrap();
        let server = Server::start(state.clone(), sockets, Some(2)).unwrap();
        let address = server.listeners()[0].address.parse().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let server = Self { scheduler, control, state, server: Some(server), address, runtime };
        for model in ["floats", "texts"] {
            server.wait("the models run", |server| {
                let snapshot = server.scheduler.snapshots().borrow().clone();
                snapshot.model(model).is_some_and(|model| model.state == ModelState::Running)
            });
        }
        server
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.unwrap() })
    }

    /// Starts a request of a client.
    pub(crate) fn spawn_infer(
        &self,
        client: &GrpcClient,
        request: InferRequest,
    ) -> JoinHandle<Result<InferAnswer, Status>> {
        let client = client.clone();
        self.runtime.spawn(async move { client.infer(request).await })
    }

    /// Opens a connection.
    pub(crate) fn connect(&self) -> GrpcClient {
        self.connect_with(WIDE).0
    }

    /// Opens a connection whose streams have a window of this many bytes.
    pub(crate) fn connect_with(&self, window: u32) -> (GrpcClient, ConnectionEnd) {
        let (channel, end) = self.block_on(H2Channel::connect(self.address, window));
        let origin = channel.origin();
        (GrpcClient { grpc: Grpc::with_origin(channel, origin) }, end)
    }

    pub(crate) fn counts(&self, model: &str) -> RequestCounts {
        let snapshot = self.scheduler.snapshots().borrow().clone();
        snapshot.model(model).map(|model| model.counts).unwrap_or_default()
    }

    pub(crate) fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < end, "never: {what}; {:?}", self.counts("floats"));
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn apply(&self, edit: Edit) {
        self.scheduler.apply(Change::from(edit), Author::Api).unwrap();
    }

    pub(crate) fn pause(&self, paused: bool) {
        self.apply(Edit::Pause { model: "floats".to_owned(), paused });
    }

    /// Returns true once this many requests have started to run.
    pub(crate) fn has_started(&self, requests: usize) -> bool {
        self.control.started.load(Ordering::SeqCst) >= requests
    }

    /// Makes running requests wait.
    pub(crate) fn block_runs(&self, blocked: bool) {
        self.control.blocked.store(blocked, Ordering::SeqCst);
    }
}

impl Drop for GrpcServer {
    fn drop(&mut self) {
        self.block_runs(false);
    }
}

impl GrpcClient {
    /// Calls a method with one request and one answer.
    pub(crate) async fn call<Q, A>(&self, method: &str, message: Q) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        self.call_with(method, Request::new(message)).await
    }

    async fn call_with<Q, A>(&self, method: &str, request: Request<Q>) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let mut grpc = self.grpc.clone();
        let path = if method.contains('/') {
            format!("/{method}")
        } else {
            format!("/inference.GRPCInferenceService/{method}")
        };
        let refused = |error: h2::Error| Status::unavailable(error.to_string());
        grpc.ready().await.map_err(refused)?;
        let codec = ProstCodec::<Q, A>::default();
        let answer = grpc.unary(request, path.parse().unwrap(), codec).await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn infer(&self, request: InferRequest) -> Result<InferAnswer, Status> {
        self.call("ModelInfer", request).await
    }

    /// Sends a request whose deadline the server must keep: this client has no clock.
    pub(crate) async fn infer_within(
        &self,
        deadline: Duration,
        request: InferRequest,
    ) -> Result<InferAnswer, Status> {
        let mut request = Request::new(request);
        request.set_timeout(deadline);
        self.call_with("ModelInfer", request).await
    }
}

/// Returns a request to `floats` with raw contents.
pub(crate) fn raw_floats(values: &[f32]) -> InferRequest {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    InferRequest {
        model: "floats".to_owned(),
        inputs: vec![tensor("FP32", values.len(), None)],
        raw: vec![Bytes::from(bytes)],
        ..InferRequest::default()
    }
}

/// Returns a request with typed contents.
pub(crate) fn typed(model: &str, datatype: &str, contents: Contents) -> InferRequest {
    let count = contents.fp32.len().max(contents.bytes.len());
    InferRequest {
        model: model.to_owned(),
        inputs: vec![tensor(datatype, count, Some(contents))],
        ..InferRequest::default()
    }
}

fn tensor(datatype: &str, count: usize, contents: Option<Contents>) -> Tensor {
    Tensor {
        name: "x".to_owned(),
        datatype: datatype.to_owned(),
        shape: vec![count as i64],
        contents,
    }
}

/// Returns the values of the only output.
pub(crate) fn floats(answer: &InferAnswer) -> Vec<f32> {
    answer.raw[0].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}
