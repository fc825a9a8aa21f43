//! A server without models: an axum handler and a tonic handler that return the bytes that they get.
//! Its speed is that of the protocols alone, as a bound for a server of models.
//!
//! `cargo run --release --example echo ADDRESS [THREADS]`

use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::routing::post;
use axum::serve::ListenerExt;
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;

/// The tensors of a `ModelInferRequest`; its other fields are skipped.
#[derive(Clone, PartialEq, prost::Message)]
struct EchoRequest {
    #[prost(bytes = "bytes", repeated, tag = "7")]
    raw_input_contents: Vec<Bytes>,
}

/// The tensors of a `ModelInferResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct EchoResponse {
    #[prost(bytes = "bytes", repeated, tag = "6")]
    raw_output_contents: Vec<Bytes>,
}

struct Echo;

impl UnaryService<EchoRequest> for Echo {
    type Response = EchoResponse;
    type Future = Ready<Result<tonic::Response<EchoResponse>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<EchoRequest>) -> Self::Future {
        let raw_output_contents = request.into_inner().raw_input_contents;
        ready(Ok(tonic::Response::new(EchoResponse { raw_output_contents })))
    }
}

async fn echo_grpc(
    request: Request,
) -> Result<axum::http::Response<tonic::body::Body>, Infallible> {
    let mut grpc = Grpc::new(ProstCodec::<EchoResponse, EchoRequest>::default())
        .max_decoding_message_size(usize::MAX);
    Ok(grpc.unary(Echo, request.map(tonic::body::Body::new)).await)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: echo ADDRESS [THREADS]")?;
    let threads = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(&address).await?.tap_io(|stream| {
            // An answer that the kernel holds back would only be slower.
            let _ = stream.set_nodelay(true);
        });
        let grpc = tower::service_fn(echo_grpc);
        let router = Router::new()
            .route_service("/inference.GRPCInferenceService/ModelInfer", grpc)
            .fallback(post(async |body: Bytes| Body::from(body)))
            .layer(axum::extract::DefaultBodyLimit::disable());
        axum::serve(listener, router).await?;
        Ok(())
    })
}
