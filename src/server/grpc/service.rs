//! The service `inference.GRPCInferenceService`: from the path of a call to its method.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http;
use prost::Message;
use tonic::body::Body;
use tonic::codec::{Codec, CompressionEncoding};
use tonic::server::{Grpc, NamedService};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use super::body::{AnswerBody, RequestBody};
use super::call::Call;
use super::codec::{InferCodec, ReceivedRequest};
use super::infer::infer;
use super::messages::{Empty, ModelInferResponse, ModelStreamInferResponse};
use super::stream::AnswerStream;
use super::{methods, status};
use crate::server::serve_error::{ErrorKind, ServeError};
use crate::server::state::ServerState;

/// The largest message of methods other than inference, in bytes. They name a model at most.
const SMALL_MESSAGE: usize = 64 << 10;

/// The service of inference.
#[derive(Clone)]
pub(super) struct InferenceService {
    state: Arc<ServerState>,
}

impl InferenceService {
    pub(super) fn new(state: Arc<ServerState>) -> Self {
        Self { state }
    }
}

impl NamedService for InferenceService {
    const NAME: &'static str = "inference.GRPCInferenceService";
}

impl Service<http::Request<Body>> for InferenceService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let state = self.state.clone();
        Box::pin(async move { Ok(dispatch(state, request).await) })
    }
}

async fn dispatch(state: Arc<ServerState>, request: http::Request<Body>) -> http::Response<Body> {
    let path = request.uri().path();
    let method = path.rsplit_once('/').map_or(path, |(_, method)| method).to_owned();
    let is_inference = matches!(method.as_str(), "ModelInfer" | "ModelStreamInfer");
    let call = Call::new(state, &request, is_inference);
    if let Err(error) = admit(&call, &method, request.headers()) {
        call.fail(error.kind);
        return status(&error).into_http();
    }
    match method.as_str() {
        "ModelInfer" => infer_one(call, request).await,
        "ModelStreamInfer" => infer_stream(call, request).await,
        "ServerLive" => answer(call, request, |_, _: &Empty| Ok(methods::server_live())).await,
        "ServerReady" => {
            answer(call, request, |state, _: &Empty| Ok(methods::server_ready(state))).await
        }
        "ModelReady" => {
            answer(call, request, |state, model| Ok(methods::model_ready(state, model))).await
        }
        "ServerMetadata" => {
            answer(call, request, |state, _: &Empty| Ok(methods::server_metadata(state))).await
        }
        "ModelMetadata" => answer(call, request, methods::model_metadata).await,
        "ModelConfig" => answer(call, request, methods::model_config).await,
        "RepositoryIndex" => {
            answer(call, request, |state, index| Ok(methods::repository_index(state, index))).await
        }
        "ModelStatistics" => answer(call, request, methods::model_statistics).await,
        _ => status(&methods::not_implemented(&method)).into_http(),
    }
}

/// Checks a call before its body is read.
fn admit(call: &Call, method: &str, headers: &http::HeaderMap) -> Result<(), ServeError> {
    let state = &call.state;
    let authorization = headers.get(http::header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
    let is_health = matches!(method, "ServerLive" | "ServerReady");
    if !is_health && !state.access.allows(authorization) {
        let reason = "the server needs a token: send the metadata `authorization: Bearer TOKEN`";
        return Err(ServeError::new(ErrorKind::Unauthorized, reason));
    }
    if matches!(method, "ModelInfer" | "ModelStreamInfer") && state.drain.has_started() {
        return Err(ServeError::shutting_down());
    }
    Ok(())
}

/// Returns a server of one call. It compresses answers in the way in which the client compresses its requests,
/// and only if it does: most clients say that they accept compression without a wish for it.
fn grpc<C: Codec, B>(codec: C, limit: usize, request: &http::Request<B>) -> Grpc<C> {
    let grpc = Grpc::new(codec)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate)
        .max_decoding_message_size(limit)
        .max_encoding_message_size(usize::MAX);
    match request.headers().get("grpc-encoding").map(http::HeaderValue::as_bytes) {
        Some(b"gzip") => grpc.send_compressed(CompressionEncoding::Gzip),
        Some(b"deflate") => grpc.send_compressed(CompressionEncoding::Deflate),
        _ => grpc,
    }
}

/// Replaces the body of a request by one with limits.
fn limited(
    request: http::Request<Body>,
    call: &Arc<Call>,
    is_stream: bool,
) -> http::Request<RequestBody> {
    request.map(|body| RequestBody::new(body, call.clone(), is_stream))
}

/// Keeps the bytes of an answer in flight until they have been sent.
fn held(response: http::Response<Body>, call: &Arc<Call>) -> http::Response<Body> {
    response.map(|body| Body::new(AnswerBody::new(body, call.clone())))
}

/// Answers a method that needs no model to run.
async fn answer<Q, A>(
    call: Arc<Call>,
    request: http::Request<Body>,
    method: fn(&ServerState, &Q) -> Result<A, ServeError>,
) -> http::Response<Body>
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
{
    let codec = ProstCodec::<A, Q>::default();
    let mut grpc = grpc(codec, SMALL_MESSAGE, &request);
    let state = call.state.clone();
    let run = move |request: Request<Q>| {
        let answered = method(&state, request.get_ref());
        std::future::ready(answered.map(Response::new).map_err(|error| status(&error)))
    };
    let response = grpc.unary(service_fn(run), limited(request, &call, false)).await;
    held(response, &call)
}

/// Answers `ModelInfer`.
async fn infer_one(call: Arc<Call>, request: http::Request<Body>) -> http::Response<Body> {
    let codec = InferCodec::<ModelInferResponse>::new(call.clone());
    let mut grpc = grpc(codec, body_limit(&call), &request);
    call.expect_request();
    let shared = call.clone();
    let run = move |request: Request<ReceivedRequest>| {
        let call = shared.clone();
        async move {
            let answered = infer(&call, request.into_inner()).await;
            if let Ok(answer) = &answered {
                call.announce_answer(answer.raw_size());
            }
            answered.map(Response::new).map_err(|error| status(&error))
        }
    };
    let request = limited(request, &call, false);
    let mut answering = pin!(grpc.unary(service_fn(run), request));
    let polled = |context: &mut Context<'_>| call.poll_steps(|| answering.as_mut().poll(context));
    let response = poll_fn(polled).await;
    call.fail_unread(reason_unread(response.headers()));
    held(response, &call)
}

/// Answers `ModelStreamInfer`.
async fn infer_stream(call: Arc<Call>, request: http::Request<Body>) -> http::Response<Body> {
    let codec = InferCodec::<ModelStreamInferResponse>::new(call.clone());
    let mut grpc = grpc(codec, body_limit(&call), &request);
    let shared = call.clone();
    let run = move |request: Request<Streaming<ReceivedRequest>>| {
        let answers = AnswerStream::new(shared.clone(), request.into_inner());
        std::future::ready(Ok::<_, Status>(Response::new(answers)))
    };
    let response = grpc.streaming(service_fn(run), limited(request, &call, true)).await;
    held(response, &call)
}

/// Returns the largest request in bytes, decompressed.
fn body_limit(call: &Call) -> usize {
    usize::try_from(call.limits.body).unwrap_or(usize::MAX)
}

/// Returns the reason why a request was not read, from the head of the answer. tonic checks the size of what it
/// decompresses.
fn reason_unread(answer: &http::HeaderMap) -> ErrorKind {
    match Status::from_header_map(answer).map(|status| status.code()) {
        Some(Code::ResourceExhausted) => ErrorKind::TooLarge,
        _ => ErrorKind::BadRequest,
    }
}
