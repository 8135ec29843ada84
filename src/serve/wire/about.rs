//! What the server says of itself and of which models it has.

use serde::Serialize;
use utoipa::ToSchema;

use crate::serve::model::ServedModel;

/// Where to go from here.
#[derive(Serialize, ToSchema)]
pub(crate) struct Signpost<'a> {
    name: &'static str,
    version: &'static str,
    /// Who answers a request that names no model.
    model: &'a str,
    /// Routes that take texts.
    classify: &'static [&'static str],
    /// Routes that tell something.
    about: &'static [&'static str],
}

impl<'a> Signpost<'a> {
    pub(crate) fn to(model: &'a str) -> Self {
        Self {
            name: "limbic",
            version: env!("CARGO_PKG_VERSION"),
            model,
            classify: &[
                "POST /v1/emotions",
                "POST /v1/emotions/bulk",
                "POST /predict",
                "POST /",
                "POST /hf/{model}",
                "POST /v2/models/{model}/infer",
                "POST /v1/classify",
                "POST /v1/moderations",
            ],
            about: &[
                "GET /openapi.json",
                "GET /docs/",
                "GET /v1/models",
                "GET /v1/label_sets",
                "GET /v2",
                "GET /health/ready",
                "GET /health/live",
                "GET /metrics",
            ],
        }
    }
}

/// A list, as OpenAI's clients read one.
#[derive(Serialize, ToSchema)]
pub(crate) struct Listed<T> {
    /// `list`.
    object: &'static str,
    data: Vec<T>,
}

impl<T> Listed<T> {
    pub(crate) fn of(data: Vec<T>) -> Self {
        Self { object: "list", data }
    }
}

/// One model.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelEntry {
    /// `name`, or `name@version` of a version that answers only when it is asked for.
    id: String,
    /// `model`.
    object: &'static str,
    /// When its bundle was made, in seconds since 1970.
    created: u64,
    owned_by: &'static str,
}

impl ModelEntry {
    pub(crate) fn new(id: String, model: &ServedModel) -> Self {
        Self { id, object: "model", created: model.created, owned_by: "limbic" }
    }
}

/// How the server is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `live`, `ready`, `draining` or `not_ready`.
    pub(crate) status: &'static str,
}
