//! The methods of the Open Inference Protocol.

use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Extensions, Request, Response, Status, async_trait};

use super::status;
use crate::serve::app::App;
use crate::serve::edge::Call;
use crate::serve::error::ApiError;
use crate::serve::proto::inference::grpc_inference_service_server::GrpcInferenceService;
use crate::serve::proto::inference::{
    ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest, ModelReadyResponse,
    ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
};
use crate::serve::routes::intake::{self, Deadline};
use crate::serve::routes::oip::{self, Named};
use crate::serve::wire::oip::{InferAnswer, message, model, parse_message, server};

const SERVER_TIMING: &str = "server-timing";

/// See the module.
pub(super) struct Inference {
    pub(super) app: App,
}

#[async_trait]
impl GrpcInferenceService for Inference {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: oip::is_ready(&self.app, &self.app.registry.default()) }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        let (_, extensions, ModelReadyRequest { name, version }) = request.into_parts();
        let chosen = named(name, version).choose(&self.app).map_err(|error| told(&error, &extensions))?;
        Ok(Response::new(ModelReadyResponse { ready: oip::is_ready(&self.app, &chosen) }))
    }

    async fn server_metadata(&self, _: Request<ServerMetadataRequest>) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(server().into()))
    }

    async fn model_metadata(&self, request: Request<ModelMetadataRequest>) -> Result<Response<ModelMetadataResponse>, Status> {
        let (_, extensions, ModelMetadataRequest { name, version }) = request.into_parts();
        let chosen = named(name, version).choose(&self.app).map_err(|error| told(&error, &extensions))?;
        Ok(Response::new(model(&chosen.model, chosen.engine.name()).into()))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        let (_, extensions, asked) = request.into_parts();
        infer(&self.app, asked, (call(&extensions), deadline(&extensions))).await.map_err(|error| told(&error, &extensions))
    }
}

async fn infer(
    app: &App,
    mut asked: ModelInferRequest,
    (call, deadline): (&Call, Deadline),
) -> Result<Response<ModelInferResponse>, ApiError> {
    let chosen = named(std::mem::take(&mut asked.model_name), std::mem::take(&mut asked.model_version)).choose(app)?;
    let (limits, parsed) = (app.text_limits(), chosen.model.clone());
    let (mut asked, form) = intake::off_workers(asked.encoded_len(), move || parse_message(asked, &parsed, limits)).await?;
    let (classified, predictions) = oip::answer(app, &chosen, &mut asked, (call.started, deadline)).await?;
    let mut response = Response::new(message(InferAnswer::new(&chosen.model, &asked, &predictions), form));
    if let Ok(timing) = MetadataValue::try_from(classified.timing(app)) {
        response.metadata_mut().insert(SERVER_TIMING, timing);
    }
    Ok(response)
}

/// An empty version is none.
fn named(model: String, version: String) -> Named {
    Named { model, version: Some(version).filter(|version| !version.is_empty()) }
}

fn told(error: &ApiError, extensions: &Extensions) -> Status {
    status::of(error, &call(extensions).id)
}

fn call(extensions: &Extensions) -> &Call {
    extensions.get().expect("every call passes the edge: this is a bug")
}

fn deadline(extensions: &Extensions) -> Deadline {
    *extensions.get().expect("every call passes the edge: this is a bug")
}
