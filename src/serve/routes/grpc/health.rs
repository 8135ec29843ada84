//! gRPC's own health checks, which say what `/health/ready` says: whether to send traffic here.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::time::sleep;
use tonic::server::NamedService;
use tonic::{Request, Response, Status, async_trait};

use super::Inference;
use crate::serve::app::App;
use crate::serve::proto::health::health_check_response::ServingStatus;
use crate::serve::proto::health::health_server::Health;
use crate::serve::proto::health::{HealthCheckRequest, HealthCheckResponse};
use crate::serve::proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use crate::serve::routes::oip;

/// How soon a watcher hears of an engine that is gone or back. It hears of a stop at once.
const LOOK: Duration = Duration::from_millis(500);

/// See the module.
pub(super) struct Readiness {
    pub(super) app: App,
}

/// One watcher's stream, and what it heard last.
struct Watcher {
    app: App,
    service: String,
    told: Option<ServingStatus>,
}

#[async_trait]
impl Health for Readiness {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let HealthCheckRequest { service } = request.into_inner();
        match status(&self.app, &service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("no such service: expected none, or inference.GRPCInferenceService")),
            status => Ok(Response::new(HealthCheckResponse { status: status.into() })),
        }
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let HealthCheckRequest { service } = request.into_inner();
        let watcher = Watcher { app: self.app.clone(), service, told: None };
        let changes = stream::unfold(watcher, async |mut watcher| watcher.next().await.map(|told| (Ok(told), watcher)));
        Ok(Response::new(Box::pin(changes)))
    }
}

impl Watcher {
    /// The next status that was not told yet; nothing after the server said that it stops, so that no watcher holds that up.
    async fn next(&mut self) -> Option<HealthCheckResponse> {
        loop {
            let draining = self.app.lifecycle.is_draining();
            let status = status(&self.app, &self.service);
            if self.told != Some(status) {
                self.told = Some(status);
                return Some(HealthCheckResponse { status: status.into() });
            }
            if draining {
                return None;
            }
            tokio::select! {
                () = self.app.lifecycle.draining() => {}
                () = sleep(LOOK) => {}
            }
        }
    }
}

fn status(app: &App, service: &str) -> ServingStatus {
    if !["", GrpcInferenceServiceServer::<Inference>::NAME].contains(&service) {
        return ServingStatus::ServiceUnknown;
    }
    if oip::is_ready(app, &app.registry.default()) { ServingStatus::Serving } else { ServingStatus::NotServing }
}
