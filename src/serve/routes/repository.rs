//! The Open Inference Protocol's model repository extension, on the admin port: the changes of `admin` in the words of its
//! clients. `load` takes the name of a bundle's folder, as there; `unload` takes `name` or `name@version`.

use std::path::PathBuf;

use actix_web::web::{self, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::admin::{make_change, make_load};
use super::{Route, intake, only};
use crate::serve::app::{App, apart};
use crate::serve::error::ApiError;
use crate::serve::registry::{Activate, ChangeError, ModelId, Previous, Registry};
use crate::serve::wire::admin::LoadRequest;
use crate::serve::wire::json::Node;
use crate::serve::wire::oip::{IndexEntry, asks_ready, check_change, serving};

pub(super) fn register(config: &mut web::ServiceConfig) {
    let mut post = |route: Route, handler: actix_web::Route| {
        config.service(web::resource(route.pattern()).route(handler).default_service(only("POST")));
    };
    post(Route::V2Index, web::post().to(index));
    post(Route::V2Load, web::post().to(load));
    post(Route::V2Unload, web::post().to(unload));
}

/// `POST /v2/repository/index`.
async fn index(request: HttpRequest, payload: Payload, app: Data<App>) -> Result<HttpResponse, ApiError> {
    let only_ready = asks_ready(body(&request, payload, &app).await?)?;
    let registry = app.registry.clone();
    let idle = apart("limbic-index", move || registry.idle()).await?.map_err(|error| {
        tracing::error!(%error, "the folder of models cannot be listed");
        ApiError::Internal
    })?;
    let refused = app.registry.refused();
    let idle = idle.iter().map(|folder: &PathBuf| IndexEntry::idle(folder, refused.get(folder)));
    let entries = serving(&app.registry.list()).into_iter().chain(idle).filter(|entry| !only_ready || entry.is_ready());
    Ok(HttpResponse::Ok().json(entries.collect::<Vec<_>>()))
}

/// `POST /v2/repository/models/{model}/load`: answers when it serves, in place of the version that did.
async fn load(request: HttpRequest, payload: Payload, app: Data<App>, bundle: Path<String>) -> Result<HttpResponse, ApiError> {
    check_change(body(&request, payload, &app).await?)?;
    let asked = LoadRequest { bundle: bundle.into_inner(), activate: Activate::Now, previous: Previous::Unload };
    make_load(&app, asked).await?;
    Ok(HttpResponse::Ok().finish())
}

/// `POST /v2/repository/models/{model}/unload`.
async fn unload(request: HttpRequest, payload: Payload, app: Data<App>, model: Path<String>) -> Result<HttpResponse, ApiError> {
    check_change(body(&request, payload, &app).await?)?;
    let change = move |registry: &Registry| {
        let id = ModelId::parse(&model).ok_or_else(|| ChangeError::Unknown(model.to_string()))?;
        registry.unload(id.name, id.version)
    };
    make_change(&app, change).await?;
    Ok(HttpResponse::Ok().finish())
}

/// The body as JSON. No body is an empty one: some clients send none.
async fn body(request: &HttpRequest, payload: Payload, app: &App) -> Result<Node, ApiError> {
    let bytes = intake::bytes(request.headers(), payload, &app.settings).await?;
    if bytes.trim_ascii().is_empty() { Ok(Node::Object(Vec::new())) } else { Node::parse(&bytes) }
}
