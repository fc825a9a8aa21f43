//! The Open Inference Protocol over gRPC, as Triton's clients speak it, and gRPC's health protocol.
//!
//! The messages are written by hand with prost's derive, so that the build needs no `protoc`. tonic reads and
//! writes them; [`body`] adds the limits on the bytes of a call.

mod body;
mod call;
mod codec;
mod contents;
mod deadline;
mod decompress;
mod health;
mod infer;
mod large_steps;
mod messages;
mod methods;
mod read_request;
mod service;
mod stream;

use std::sync::Arc;

use tonic::Status;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;

use self::health::HealthService;
use self::service::InferenceService;
use super::serve_error::ServeError;
use super::state::ServerState;

/// Returns the routes of gRPC.
pub(super) fn routes(state: Arc<ServerState>) -> axum::Router {
    let health = HealthServer::new(HealthService::new(state.clone()));
    Routes::new(InferenceService::new(state)).add_service(health).prepare().into_axum_router()
}

/// Returns the status that reports an error.
fn status(error: &ServeError) -> Status {
    Status::new(error.kind.code(), error.message.as_str())
}
