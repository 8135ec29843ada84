//! Whether the server and a model can be asked, by the protocol's names.

use serde::Serialize;
use utoipa::ToSchema;

/// Of the server: whether it lives, and whether to send traffic to it where that was asked.
#[derive(Serialize, ToSchema)]
pub(crate) struct ServerHealth {
    pub(crate) live: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool)]
    pub(crate) ready: Option<bool>,
}

/// Of a model.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelHealth<'a> {
    pub(crate) name: &'a str,
    pub(crate) ready: bool,
}
