//! What the server and the model say of themselves, once for JSON and for messages.

use serde::Serialize;

use crate::serve::model::ServedModel;
use crate::serve::proto::inference::model_metadata_response::TensorMetadata;
use crate::serve::proto::inference::{ModelMetadataResponse, ServerMetadataResponse};

/// `GET /v2`, `ServerMetadata`.
#[derive(Serialize)]
pub(crate) struct ServerMetadata {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 3],
}

/// See the type.
pub(crate) const fn server() -> ServerMetadata {
    let extensions = ["classification", "binary_tensor_data", "schedule_policy"];
    ServerMetadata { name: "limbic", version: env!("CARGO_PKG_VERSION"), extensions }
}

/// `GET /v2/models/{model}`, `ModelMetadata`.
#[derive(Serialize)]
pub(crate) struct ModelMetadata {
    name: String,
    versions: [String; 1],
    platform: String,
    inputs: [Tensor; 1],
    outputs: [Tensor; 2],
}

#[derive(Serialize)]
struct Tensor {
    name: &'static str,
    datatype: &'static str,
    /// -1 is any size.
    shape: Vec<i64>,
}

/// See the type. `engine` is what computes the model.
pub(crate) fn model(model: &ServedModel, engine: &str) -> ModelMetadata {
    let labels = i64::try_from(model.decider.labels().len()).unwrap_or(i64::MAX);
    let tensor = |name, datatype, shape: &[i64]| Tensor { name, datatype, shape: shape.to_vec() };
    ModelMetadata {
        name: model.name.clone(),
        versions: [model.version.clone()],
        platform: format!("limbic_{engine}"),
        inputs: [tensor("text", "BYTES", &[-1])],
        outputs: [tensor("probabilities", "FP32", &[-1, labels]), tensor("labels", "BYTES", &[-1])],
    }
}

impl From<ServerMetadata> for ServerMetadataResponse {
    fn from(ServerMetadata { name, version, extensions }: ServerMetadata) -> Self {
        Self { name: name.to_owned(), version: version.to_owned(), extensions: extensions.map(str::to_owned).into() }
    }
}

impl From<ModelMetadata> for ModelMetadataResponse {
    fn from(ModelMetadata { name, versions, platform, inputs, outputs }: ModelMetadata) -> Self {
        let (inputs, outputs) = (inputs.map(TensorMetadata::from).into(), outputs.map(TensorMetadata::from).into());
        Self { name, versions: versions.into(), platform, inputs, outputs }
    }
}

impl From<Tensor> for TensorMetadata {
    fn from(Tensor { name, datatype, shape }: Tensor) -> Self {
        Self { name: name.to_owned(), datatype: datatype.to_owned(), shape }
    }
}
