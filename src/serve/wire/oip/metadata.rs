//! What the server and the model say of themselves.

use serde_json::{Value, json};

use crate::serve::model::ServedModel;

/// `GET /v2`.
pub(crate) fn server() -> Value {
    json!({
        "name": "limbic",
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": ["classification", "binary_tensor_data", "schedule_policy"],
    })
}

/// `GET /v2/models/{model}`. `engine` is what computes it.
pub(crate) fn model(model: &ServedModel, engine: &str) -> Value {
    let labels = model.decider.labels().len();
    json!({
        "name": model.name,
        "versions": [model.version],
        "platform": format!("limbic_{engine}"),
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, labels]},
            {"name": "labels", "datatype": "BYTES", "shape": [-1]},
        ],
    })
}
