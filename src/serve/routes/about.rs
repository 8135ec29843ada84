//! The routes that say something about the server and its models.

use std::sync::Arc;

use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, web};

use crate::serve::app::App;
use crate::serve::error::ApiError;
use crate::serve::label_sets;
use crate::serve::registry::Line;
use crate::serve::wire::about::{Health, Listed, ModelEntry, Signpost};

/// `GET /`: where to go from here.
pub(super) async fn signpost(app: web::Data<App>) -> HttpResponse {
    HttpResponse::Ok().json(Signpost::to(&app.registry.default().model.name))
}

/// `GET /v1/models`: the list, as OpenAI's clients read it: each name, and under it the versions that
/// answer only when they are asked for by `name@version`.
pub(super) async fn models(app: web::Data<App>) -> HttpResponse {
    let mut data = Vec::new();
    for Line { current, all, .. } in app.registry.list() {
        data.push(ModelEntry::new(current.model.name.clone(), &current.model));
        let others = all.iter().map(|served| &served.model).filter(|model| !Arc::ptr_eq(model, &current.model));
        data.extend(others.map(|model| ModelEntry::new(format!("{}@{}", model.name, model.version), model)));
    }
    HttpResponse::Ok().json(Listed::of(data))
}

/// `GET /v1/label_sets`: the label sets that answers can be given in, as they are published.
pub(super) async fn label_sets() -> HttpResponse {
    HttpResponse::Ok().json(Listed::of(label_sets::all().iter().map(|set| &set.published).collect()))
}

/// `GET /v1/models/{id}`: the card of `name` or `name@version`.
pub(super) async fn model(app: web::Data<App>, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(&app.choose(Some(&id))?.model.card))
}

/// `GET /health/live`: the process runs and its HTTP side answers.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "live" })
}

/// `GET /health/ready`: whether to send traffic here: the default model answers.
pub(super) async fn ready(app: web::Data<App>) -> HttpResponse {
    let engine = &app.registry.default().served.engine;
    let status = match (app.lifecycle.is_draining(), engine.is_up()) {
        (false, true) => return HttpResponse::Ok().json(Health { status: "ready" }),
        (true, _) => "draining",
        (false, false) => "not_ready",
    };
    HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, engine.retry_after())).json(Health { status })
}

/// `GET /metrics`: Prometheus' text format.
pub(super) async fn metrics(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    let page = app.telemetry.render(&app.registry.sample()).map_err(|error| {
        tracing::error!(%error, "the metrics could not be written");
        ApiError::Internal
    })?;
    Ok(HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(page))
}
