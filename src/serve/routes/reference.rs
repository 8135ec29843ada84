//! The API described: the document of each port, and the page that shows it.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, LOCATION};
use actix_web::web::{Data, Path};

use crate::serve::app::App;
use crate::serve::error::ApiError;
use crate::serve::openapi::{self, Scope};

/// `GET /openapi.json`, of a port that has the metrics or not.
pub(super) async fn public<const METRICS: bool>(app: Data<App>) -> HttpResponse {
    HttpResponse::Ok().json(openapi::public(&Scope::of(&app.registry, app.settings.limits, METRICS)))
}

/// `GET /openapi.json` on the operator's port.
pub(super) async fn admin(app: Data<App>) -> HttpResponse {
    HttpResponse::Ok().json(openapi::admin(&Scope::of(&app.registry, app.settings.limits, true)))
}

/// `GET /docs`: its files are beside it.
pub(super) async fn page() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "docs/")).finish()
}

/// `GET /docs/...`: the page and its files.
pub(super) async fn file(name: Path<String>) -> Result<HttpResponse, ApiError> {
    let (bytes, content_type) = openapi::file(&name).ok_or(ApiError::NotFound)?;
    let mut response = HttpResponse::Ok();
    response.content_type(content_type).insert_header((CONTENT_SECURITY_POLICY, openapi::CONTENT_SECURITY_POLICY));
    Ok(response.body(bytes.into_owned()))
}
