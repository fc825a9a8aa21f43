//! gRPC's health protocol, which follows the readiness of the server and of each model.

use std::sync::Arc;

use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::service::InferenceService;
use crate::server::state::ServerState;

/// The service of health: `""` and `inference.GRPCInferenceService` name the server, other names models.
pub(super) struct HealthService {
    state: Arc<ServerState>,
}

impl HealthService {
    pub(super) fn new(state: Arc<ServerState>) -> Self {
        Self { state }
    }
}

/// Returns the status of the server or of a model.
fn serving_status(state: &ServerState, service: &str) -> ServingStatus {
    let is_ready = if service.is_empty() || service == InferenceService::NAME {
        state.is_ready()
    } else if state.find(service, None).is_ok() {
        state.is_model_ready(service)
    } else {
        return ServingStatus::ServiceUnknown;
    };
    if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing }
}

#[tonic::async_trait]
impl Health for HealthService {
    type WatchStream = ReceiverStream<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        match serving_status(&self.state, &service) {
            ServingStatus::ServiceUnknown => {
                Err(Status::not_found(format!("there is no service or model `{service}`")))
            }
            status => Ok(Response::new(HealthCheckResponse { status: status as i32 })),
        }
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let (sender, statuses) = mpsc::channel(1);
        tokio::spawn(follow(self.state.clone(), service, sender));
        Ok(Response::new(ReceiverStream::new(statuses)))
    }
}

/// Sends the present status of a service and each that follows, until the client leaves or
/// the server drains. A drain ends the stream, since the end of the server waits for open calls.
async fn follow(
    state: Arc<ServerState>,
    service: String,
    statuses: mpsc::Sender<Result<HealthCheckResponse, Status>>,
) {
    let mut snapshots = state.models.snapshots();
    let mut last = None;
    loop {
        let is_draining = state.drain.has_started();
        let status = serving_status(&state, &service);
        if last.replace(status) != Some(status) {
            let response = HealthCheckResponse { status: status as i32 };
            if statuses.send(Ok(response)).await.is_err() {
                return;
            }
        }
        if is_draining {
            return;
        }
        tokio::select! {
            () = statuses.closed() => return,
            () = state.drain.wait_for_start() => {}
            changed = snapshots.changed() => if changed.is_err() { return },
        }
    }
}
