//! The routes that say something about the server and its models.

use std::sync::Arc;

use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::serve::app::App;
use crate::serve::error::ApiError;
use crate::serve::label_sets;
use crate::serve::model::ServedModel;
use crate::serve::registry::Line;

/// `GET /`: where to go from here.
pub(super) async fn signpost(app: web::Data<App>) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "name": "limbic",
        "version": env!("CARGO_PKG_VERSION"),
        "model": app.registry.default().model.name,
        "classify": [
            "POST /v1/emotions", "POST /v1/emotions/bulk", "POST /predict", "POST /", "POST /hf/{model}", "POST /v2/models/{model}/infer", "POST /v1/classify",
            "POST /v1/moderations",
        ],
        "about": ["GET /v1/models", "GET /v1/label_sets", "GET /v2", "GET /health/ready", "GET /health/live", "GET /metrics"],
    }))
}

/// `GET /v1/models`: the list, as OpenAI's clients read it: each name, and under it the versions that
/// answer only when they are asked for by `name@version`.
pub(super) async fn models(app: web::Data<App>) -> HttpResponse {
    let entry = |id: String, model: &ServedModel| json!({"id": id, "object": "model", "created": model.created, "owned_by": "limbic"});
    let data = app.registry.list().into_iter().flat_map(|Line { current, all, .. }| {
        let others = all.into_iter().filter(|served| !Arc::ptr_eq(served, &current)).collect::<Vec<_>>();
        let others = others.into_iter().map(|served| entry(format!("{}@{}", served.model.name, served.model.version), &served.model));
        std::iter::once(entry(current.model.name.clone(), &current.model)).chain(others).collect::<Vec<_>>()
    });
    HttpResponse::Ok().json(json!({"object": "list", "data": data.collect::<Vec<_>>()}))
}

/// `GET /v1/label_sets`: the label sets that answers can be given in, as they are published.
pub(super) async fn label_sets() -> HttpResponse {
    let data: Vec<&serde_json::Value> = label_sets::all().iter().map(|set| &set.published).collect();
    HttpResponse::Ok().json(json!({"object": "list", "data": data}))
}

/// `GET /v1/models/{id}`: the card of `name` or `name@version`.
pub(super) async fn model(app: web::Data<App>, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(&app.choose(Some(&id))?.model.card))
}

/// `GET /health/live`: the process runs and its HTTP side answers.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "live"}))
}

/// `GET /health/ready`: whether to send traffic here: the default model answers.
pub(super) async fn ready(app: web::Data<App>) -> HttpResponse {
    let engine = &app.registry.default().served.engine;
    let status = match (app.lifecycle.is_draining(), engine.is_up()) {
        (false, true) => return HttpResponse::Ok().json(json!({"status": "ready"})),
        (true, _) => "draining",
        (false, false) => "not_ready",
    };
    HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, engine.retry_after())).json(json!({"status": status}))
}

/// `GET /metrics`: Prometheus' text format.
pub(super) async fn metrics(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    let page = app.telemetry.render(&app.registry.sample()).map_err(|error| {
        tracing::error!(%error, "the metrics could not be written");
        ApiError::Internal
    })?;
    Ok(HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(page))
}
