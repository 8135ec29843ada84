//! The Open Inference Protocol over gRPC: a real client, and the real server behind a real socket.

mod endings;
mod forms;
mod keys;
mod refusals;

use std::collections::HashMap;
use std::sync::Arc;

use limbic::serve::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use limbic::serve::proto::inference::infer_parameter::ParameterChoice;
use limbic::serve::proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use limbic::serve::proto::inference::{InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse};
use limbic::serve::telemetry::Telemetry;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use super::harness::{Gate, PATIENCE, Plan, Running};

pub(super) const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

/// A server that speaks gRPC too, a connection to it, and what drives that meanwhile.
struct Talk {
    server: Running,
    runtime: Handle,
    channel: Channel,
    /// The driver goes with it.
    _stop: oneshot::Sender<()>,
}

impl Talk {
    fn start(plan: Plan) -> Self {
        Self::start_telling(plan, Telemetry::new())
    }

    fn start_telling(plan: Plan, telemetry: Telemetry) -> Self {
        let server = plan.start_with_grpc(telemetry);
        let driver = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (runtime, (stop, stopped)) = (driver.handle().clone(), oneshot::channel::<()>());
        std::thread::spawn(move || driver.block_on(stopped));
        let channel = runtime.block_on(connect(&server));
        Self { server, runtime, channel, _stop: stop }
    }

    /// The same behind a gate.
    fn gated(plan: Plan) -> (Self, Arc<Gate>) {
        let gate = Arc::new(Gate::default());
        (Self::start(Plan { gate: Arc::clone(&gate), ..plan }), gate)
    }

    fn client(&self) -> GrpcInferenceServiceClient<Channel> {
        GrpcInferenceServiceClient::new(self.channel.clone())
    }

    /// Waits for one call's end.
    fn infer(&self, request: impl Into<Asked>) -> Result<Response<ModelInferResponse>, Status> {
        let (mut client, Asked(request)) = (self.client(), request.into());
        self.runtime.block_on(async move { client.model_infer(request).await })
    }

    #[track_caller]
    fn refused(&self, request: impl Into<Asked>) -> Status {
        self.infer(request).expect_err("the call was answered")
    }

    /// Responses of one method and code that were counted.
    fn counted(&self, route: &str, code: &str) -> f64 {
        self.server.metric(&format!("limbic_requests_total{{code=\"{code}\",route=\"{route}\"}}"))
    }
}

async fn connect(server: &Running) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.grpc.unwrap())).unwrap();
    endpoint.timeout(PATIENCE).connect().await.unwrap()
}

/// A call with its metadata.
struct Asked(Request<ModelInferRequest>);

impl From<ModelInferRequest> for Asked {
    fn from(message: ModelInferRequest) -> Self {
        Self(Request::new(message))
    }
}

impl From<Request<ModelInferRequest>> for Asked {
    fn from(request: Request<ModelInferRequest>) -> Self {
        Self(request)
    }
}

/// One input in the message.
fn typed(texts: &[&str]) -> ModelInferRequest {
    let bytes_contents = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let contents = Some(InferTensorContents { bytes_contents, ..InferTensorContents::default() });
    let input = InferInputTensor {
        name: "text".to_owned(),
        datatype: "BYTES".to_owned(),
        shape: vec![i64::try_from(texts.len()).unwrap()],
        parameters: HashMap::new(),
        contents,
    };
    ModelInferRequest { model_name: "scripted".to_owned(), inputs: vec![input], ..ModelInferRequest::default() }
}

/// The same as bytes behind it.
fn raw(texts: &[&str]) -> ModelInferRequest {
    let mut message = typed(texts);
    message.inputs[0].contents = None;
    message.raw_input_contents = vec![packed(texts)];
    message
}

fn packed<S: AsRef<str>>(texts: &[S]) -> Vec<u8> {
    texts
        .iter()
        .flat_map(|text| [&u32::try_from(text.as_ref().len()).unwrap().to_le_bytes()[..], text.as_ref().as_bytes()].concat())
        .collect()
}

fn output(name: &str, parameters: &[(&str, ParameterChoice)]) -> InferRequestedOutputTensor {
    InferRequestedOutputTensor { name: name.to_owned(), parameters: choices(parameters) }
}

fn choices(parameters: &[(&str, ParameterChoice)]) -> HashMap<String, InferParameter> {
    let parameter = |choice: &ParameterChoice| InferParameter { parameter_choice: Some(choice.clone()) };
    parameters.iter().map(|(name, choice)| ((*name).to_owned(), parameter(choice))).collect()
}

#[track_caller]
fn says(status: &Status, code: Code, part: &str) {
    assert!(status.code() == code && status.message().contains(part), "expected {code:?} and {part:?}, found {status:?}");
}
