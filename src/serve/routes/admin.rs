//! The operator's routes, on a port of their own: which models there are, and changes to that.
//!
//! A change takes as long as a bundle takes to open, so it runs on a thread of its own; requests go
//! on meanwhile on what serves. There is no key here: who may reach the port may change the models.

use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::{intake, only};
use crate::serve::app::{App, apart};
use crate::serve::error::ApiError;
use crate::serve::registry::{Change, ChangeError, ModelId, Registry};
use crate::serve::wire::admin::{LoadRequest, ShadowRequest, Standing, Version, VersionRequest};
use crate::serve::wire::json::Node;

/// How every path here begins.
pub(super) const PREFIX: &str = "/admin";

pub(super) fn register(config: &mut web::ServiceConfig) {
    let resource = |path: &str| web::resource(format!("{PREFIX}/{path}"));
    config
        .service(resource("models").route(web::get().to(models)).route(web::head().to(models)).default_service(only("GET, HEAD")))
        .service(resource("load").route(web::post().to(load)).default_service(only("POST")))
        .service(resource("swap").route(web::post().to(swap)).default_service(only("POST")))
        .service(resource("unload").route(web::post().to(unload)).default_service(only("POST")))
        .service(resource("shadow").route(web::post().to(shadow)).default_service(only("POST")));
}

/// `GET /admin/models`.
async fn models(app: Data<App>) -> HttpResponse {
    HttpResponse::Ok().json(Standing::of(&app.registry))
}

/// `POST /admin/load`: answers when the version serves, or with why it does not.
async fn load(request: HttpRequest, payload: Payload, app: Data<App>) -> Result<HttpResponse, ApiError> {
    let asked = LoadRequest::parse(body(&request, payload, &app).await?)?;
    let change = make_load(&app, asked).await?;
    Ok(HttpResponse::Ok().json(Version::of(&change.served, change.current)))
}

/// Loads a bundle and waits for what came of it.
pub(super) async fn make_load(app: &App, LoadRequest { bundle, activate, previous }: LoadRequest) -> Result<Change, ApiError> {
    let registry = app.registry.clone();
    let load = move || registry.bundle(&bundle).and_then(|folder| registry.load(&folder, activate, previous));
    apart("limbic-load", load).await?.map_err(refused)
}

/// `POST /admin/swap`: another loaded version answers for the name.
async fn swap(request: HttpRequest, payload: Payload, app: Data<App>) -> Result<HttpResponse, ApiError> {
    let asked = VersionRequest::parse(body(&request, payload, &app).await?)?;
    asked.version()?;
    changed(&app, move |registry| registry.swap(&asked.model, asked.version.as_deref().unwrap_or_default())).await
}

/// `POST /admin/unload`: one version, or the whole name.
async fn unload(request: HttpRequest, payload: Payload, app: Data<App>) -> Result<HttpResponse, ApiError> {
    let asked = VersionRequest::parse(body(&request, payload, &app).await?)?;
    changed(&app, move |registry| registry.unload(&asked.model, asked.version.as_deref())).await
}

/// `POST /admin/shadow`: another version sees a share of a model's requests, or none does.
async fn shadow(request: HttpRequest, payload: Payload, app: Data<App>) -> Result<HttpResponse, ApiError> {
    let ShadowRequest { model, with } = ShadowRequest::parse(body(&request, payload, &app).await?)?;
    changed(&app, move |registry| match &with {
        None => registry.unshadow(&model),
        Some((with, share)) => {
            let id = ModelId::parse(with).ok_or_else(|| ChangeError::Unknown(with.clone()))?;
            registry.shadow(&model, id, *share)
        }
    })
    .await
}

async fn body(request: &HttpRequest, payload: Payload, app: &App) -> Result<Node, ApiError> {
    intake::json(request.headers(), payload, &app.settings).await
}

/// Makes a change and answers with how the models stand then.
async fn changed(app: &App, change: impl FnOnce(&Registry) -> Result<(), ChangeError> + Send + 'static) -> Result<HttpResponse, ApiError> {
    make_change(app, change).await?;
    Ok(HttpResponse::Ok().json(Standing::of(&app.registry)))
}

/// Makes a change, which may have to wait for a load.
pub(super) async fn make_change(
    app: &App,
    change: impl FnOnce(&Registry) -> Result<(), ChangeError> + Send + 'static,
) -> Result<(), ApiError> {
    let registry = app.registry.clone();
    apart("limbic-change", move || change(&registry)).await?.map_err(refused)
}

fn refused(error: ChangeError) -> ApiError {
    match error {
        ChangeError::Closing => ApiError::Draining(1),
        ChangeError::NoBundle(_) | ChangeError::Unknown(_) => ApiError::UnknownModel(error.to_string()),
        ChangeError::Refused(_) => ApiError::BundleRefused(error.chain()),
        ChangeError::Current(_) | ChangeError::Default(_) | ChangeError::NoCommonLabels(_) => ApiError::Conflict(error.to_string()),
        ChangeError::Thread(_) => {
            tracing::error!(%error, "a change could not be made");
            ApiError::Internal
        }
    }
}
